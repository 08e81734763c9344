"""One Gaussian a place: measured in blocks, shown over all channels."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import places
from adbench_gaussian.places import PlaceGaussians


@pytest.fixture
def known(gaussian_noise):
    """Gaussians over the channels 1, 3 and 4 of six."""
    return PlaceGaussians(
        gaussian_noise(2, 3, 3), gaussian_noise(2, 3, 3, 3).triu(), "factor", torch.tensor([1, 3, 4]), 6
    )


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_each_patch_meets_the_gaussian_of_its_place(block, known, gaussian_noise, monkeypatch):
    monkeypatch.setattr(places, "BLOCK", block)
    patches = gaussian_noise(4, 2, 3, 6, seed=1)
    offsets = patches[..., [1, 3, 4]] - known.means
    expected = (offsets[..., None, :] @ known.matrices).squeeze(-2).square().sum(-1)
    squared, index = known.nearest(patches, "scorer")
    torch.testing.assert_close(squared, expected)
    assert index[2].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_over_all_channels_the_distances_are_the_same(known, gaussian_noise):
    patches = gaussian_noise(4, 2, 3, 6, seed=1)
    offsets = patches - known.mean()
    expected = torch.einsum("bhwi,hwij,bhwj->bhw", offsets, known.precision(), offsets)
    torch.testing.assert_close(known.nearest(patches, "scorer")[0], expected, rtol=1e-4, atol=1e-4)
    assert not known.precision()[..., 0, :].any()
    assert not known.mean()[..., [0, 2, 5]].any()


def test_tensors_are_everything(known):
    other = PlaceGaussians.of(known.tensors())
    assert other.width == 6
    assert other.form == "factor"
    assert torch.equal(other.precision(), known.precision())
