"""Several Gaussians: the nearest one, those around it, and the way back from their axes."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import clusters
from adbench_gaussian.clusters import Axes, ClusterGaussians


def axes(gaussian_noise, channels, kept):
    basis, _ = torch.linalg.qr(gaussian_noise(channels, channels, seed=5))
    return Axes(gaussian_noise(channels, seed=6), basis[:, :kept] * torch.arange(1, kept + 1))


def test_there_and_back(gaussian_noise):
    means = gaussian_noise(7, 3)
    known = axes(gaussian_noise, 5, 3)
    torch.testing.assert_close(known.into(known.back(means)), means, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_the_nearest_one(block, own, mapped, gaussian_noise, monkeypatch):
    monkeypatch.setattr(clusters, "BLOCK", block)
    matrices = gaussian_noise(7, 3, 3, seed=2).triu() if own else None
    known = ClusterGaussians(gaussian_noise(7, 3), matrices, "factor", axes(gaussian_noise, 5, 3) if mapped else None)
    patches = gaussian_noise(2, 4, 6, 5 if mapped else 3, seed=1)
    rows = known.axes.into(patches) if mapped else patches
    offsets = rows[..., None, :] - known.means
    squared = (offsets if matrices is None else (offsets[..., None, :] @ matrices).squeeze(-2)).square().sum(-1)
    seen, index = known.nearest(patches, "scorer")
    torch.testing.assert_close(seen, squared.amin(-1), rtol=1e-4, atol=1e-5)
    assert torch.equal(index, squared.argmin(-1))


@pytest.mark.parametrize("own", [True, False])
def test_over_all_channels_the_distances_are_the_same(own, gaussian_noise):
    known = ClusterGaussians(
        gaussian_noise(7, 3),
        gaussian_noise(7, 3, 3, seed=2).triu() if own else None,
        "factor",
        axes(gaussian_noise, 5, 3),
    )
    patches = gaussian_noise(2, 4, 6, 5, seed=1)
    offsets = patches[..., None, :] - known.mean()
    expected = torch.einsum("bhwki,kij,bhwkj->bhwk", offsets, known.precision(), offsets).amin(-1)
    torch.testing.assert_close(known.nearest(patches, "scorer")[0], expected, rtol=1e-3, atol=1e-3)


def test_a_common_precision_takes_the_memory_of_one(gaussian_noise):
    known = ClusterGaussians(gaussian_noise(1000, 8))
    assert known.precision().shape == (1000, 8, 8)
    assert known.precision().untyped_storage().nbytes() == 4 * 8 * 8


def test_those_around_by_hand():
    """On a line with means at 0, 1, 3 and 9, from 4: the nearest is 3, and nearest to that are 1, 0 and 9."""
    known = ClusterGaussians(torch.tensor([[0.0], [1.0], [3.0], [9.0]]))
    assert known.around(torch.tensor([[4.0]]), torch.tensor([2]), 3).tolist() == [[1, 9, 16]]
    assert known.around(torch.tensor([[4.0]]), torch.tensor([2]), 99).tolist() == [[1, 9, 16, 25]]


def test_those_around_as_the_nearest_one_measures():
    """The first Gaussian is so narrow along x that the third is nearer to it than the second."""
    means = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    factors = torch.stack([torch.diag(torch.tensor([10.0, 1.0])), torch.eye(2), 2 * torch.eye(2)])
    known = ClusterGaussians(means, factors)
    assert known.around(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 2).tolist() == [[1, 16]]


def test_a_twin_does_not_take_the_place_of_the_nearest():
    known = ClusterGaussians(torch.tensor([[1.0], [1.0]]), torch.tensor([[[1.0]], [[2.0]]]))
    assert known.around(torch.tensor([[2.0]]), torch.tensor([1]), 2).tolist() == [[4, 1]]
