"""Patches come batch by batch, and what cannot be learned from is refused by name."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.stream import grids_of, patches_of

from adbench import ContractError, DataError


def test_batches_as_they_are_in_single_precision(patch_stream, gaussian_noise):
    grids = gaussian_noise(2, 3, 4, 5), gaussian_noise(1, 2, 2, 5, seed=1)
    seen = list(patches_of(patch_stream(grids[0].double(), grids[1].half()), "cpu", "bank"))
    assert {part.dtype for part in seen} == {torch.float32}
    assert torch.equal(seen[0], grids[0])
    assert seen[1].shape == (1, 2, 2, 5)


def test_no_images(patch_stream):
    with pytest.raises(DataError, match="bank cannot learn from nothing"):
        list(patches_of(patch_stream(), "cpu", "bank"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_image_that_is_not_finite_is_named(value, patch_stream, gaussian_noise):
    grids = gaussian_noise(3, 2, 2, 4)
    grids[2, 0, 1, 2] = value
    with pytest.raises(ContractError, match="'image 2' has NaN or infinity"):
        list(patches_of(patch_stream(grids), "cpu", "bank"))


def test_channels_may_not_change(patch_stream, gaussian_noise):
    with pytest.raises(ContractError, match="bank got 4 and then 5"):
        list(patches_of(patch_stream(gaussian_noise(1, 2, 2, 4), gaussian_noise(1, 2, 2, 5)), "cpu", "bank"))


def test_a_grid_for_all(patch_stream, gaussian_noise):
    assert len(list(grids_of(patch_stream(gaussian_noise(1, 2, 3, 4), gaussian_noise(2, 2, 3, 4)), "cpu", "bank"))) == 2
    with pytest.raises(DataError, match="grid of 2 x 3 patches, but an image has 2 x 4"):
        list(grids_of(patch_stream(gaussian_noise(1, 2, 3, 4), gaussian_noise(1, 2, 4, 4)), "cpu", "bank"))
