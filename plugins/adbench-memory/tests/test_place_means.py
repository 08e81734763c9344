"""The means of places, against a direct reading of their formulas."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.place_means import SHRINKAGE, PlaceSums
from hypothesis import given
from hypothesis import strategies as st

from adbench import ContractError, DataError


def means_of(*batches, side=4):
    sums = PlaceSums(side, "the bank")
    for batch in batches:
        sums.add(batch)
    return sums.means("cpu")


@pytest.mark.proves("adbench-lite")
def test_distances_are_mahalanobis_distances_from_the_mean_of_the_place(gaussian_noise):
    normal, asked = gaussian_noise(30, 4, 4, 3), gaussian_noise(2, 4, 4, 3, seed=1)
    apart = (normal - normal.mean(0)).double().flatten(0, 2)
    covariance = apart.T @ apart / len(apart)
    scale = covariance.diagonal().sqrt()
    shared = covariance * (1 - SHRINKAGE) + SHRINKAGE * torch.diag(scale**2)
    query = (asked - normal.mean(0)).double()
    expected = torch.einsum("bhwc,cd,bhwd->bhw", query, torch.linalg.inv(shared), query).sqrt()
    distances = means_of(normal).distances(asked)
    torch.testing.assert_close(distances.double(), expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 7), st.integers(0, 100))
def test_batches_do_not_matter(first, seed):
    patches = torch.randn(8, 4, 4, 3, generator=torch.Generator().manual_seed(seed))
    one, two = means_of(patches), means_of(patches[:first], patches[first:])
    torch.testing.assert_close(one.means, two.means)
    torch.testing.assert_close(one.distances(patches), two.distances(patches), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 9), st.integers(1, 9))
def test_any_shape_lies_on_the_same_means(height, width):
    gradient = torch.arange(2.0)[:, None, None, None] + torch.ones(2, height, width, 3)
    known = means_of(gradient)
    torch.testing.assert_close(known.means, torch.full((4, 4, 3), 1.5))
    assert known.distances(gradient).shape == (2, height, width)
    torch.testing.assert_close(known.distances(torch.full((1, height, width, 3), 1.5)), torch.zeros(1, height, width))


def test_one_image_has_finite_distances(gaussian_noise):
    assert means_of(gaussian_noise(1, 4, 4, 3)).distances(gaussian_noise(1, 4, 4, 3, seed=1)).isfinite().all()


def test_what_cannot_be_learned_from_is_reported():
    with pytest.raises(DataError, match="no image to learn from"):
        means_of()
    with pytest.raises(ContractError, match="finite"):
        means_of(torch.full((1, 2, 2, 3), torch.nan))
