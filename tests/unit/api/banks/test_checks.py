"""Patches that cannot be learned from are refused by name, before a bank learns from them."""

import pytest

from adbench import ContractError, DataError
from adbench.banks import checked_batches, require_finite


def test_batches_come_as_they_are(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(2, 3, 4, 5), gaussian_noise(1, 2, 2, 5))
    assert list(checked_batches(stream, "bank")) == stream.batches


def test_no_images(patch_stream):
    with pytest.raises(DataError, match="bank cannot learn from nothing"):
        list(checked_batches(patch_stream(), "bank"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_image_that_is_not_finite_is_named(value, patch_stream, gaussian_noise):
    patches = gaussian_noise(3, 2, 2, 4)
    patches[2, 0, 1, 2] = value
    with pytest.raises(ContractError, match=r"'image 2' has NaN or infinity among its patches; look at the image"):
        list(checked_batches(patch_stream(patches), "bank"))
    (batch,) = patch_stream(patches[:2])
    require_finite(batch, "bank")


def test_channels_may_not_change(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(1, 2, 2, 4), gaussian_noise(1, 2, 2, 5))
    with pytest.raises(ContractError, match="bank got 4 and then 5"):
        list(checked_batches(stream, "bank"))


def test_without_patches_the_bank_is_reported(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(1, 2, 2, 4))
    stream.batches = [stream.batches[0].having(patches=None)]
    with pytest.raises(ContractError, match=r"bank.*add the neck 'concat-layers'"):
        list(checked_batches(stream, "bank"))
