"""Inverse factors, shrinkage and principal axes, against plain formulas and small cases by hand."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_gaussian.covariance import FLOOR, inverse_factor, principal, shrunk, shrunk_eigenvalues


def covariance(gaussian_noise, *shape, seed=0):
    rows = gaussian_noise(*shape, 3 * shape[-1], seed=seed).double()
    return rows @ rows.mT


def test_the_factor_by_hand():
    """[[4, 0], [0, 9]] has the inverse diag(1/4, 1/9), whose factor is diag(1/2, 1/3)."""
    factor = inverse_factor(torch.diag(torch.tensor([4.0, 9.0])))
    torch.testing.assert_close(factor, torch.diag(torch.tensor([1 / 2, 1 / 3])))


def test_factors_are_those_of_the_inverse(gaussian_noise):
    given = covariance(gaussian_noise, 5, 7)
    factor = inverse_factor(given)
    torch.testing.assert_close(factor @ factor.mT, torch.linalg.inv(given))
    assert torch.equal(factor, factor.triu())


def test_shrinkage_by_hand():
    """diag(1, 3) has the mean eigenvalue 2: half-way it is diag(1.5, 2.5)."""
    seen = shrunk(torch.diag(torch.tensor([1.0, 3.0])), 0.5)
    torch.testing.assert_close(seen, torch.diag(torch.tensor([1.5, 2.5])), rtol=0, atol=1e-6)
    seen = shrunk(torch.diag(torch.tensor([1.0, 3.0])), 0.5, scale=10)
    torch.testing.assert_close(seen, torch.diag(torch.tensor([5.5, 6.5])), rtol=0, atol=1e-6)


def test_a_sphere_of_all_clusters_holds_up_one_that_varies_by_nothing():
    seen = shrunk(torch.stack([torch.zeros(2, 2), torch.eye(2)]), 0.1, scale=2)
    torch.testing.assert_close(seen, torch.stack([0.2 * torch.eye(2), 1.1 * torch.eye(2)]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("share", [0, 0.07, 1])
def test_what_is_shrunk_has_an_inverse(share, gaussian_noise):
    """Also without shrinkage, of a covariance of rank 1, and of none at all."""
    line = gaussian_noise(6, 1).double()
    for given in (line @ line.mT, torch.zeros(6, 6).double()):
        assert inverse_factor(shrunk(given, share)).isfinite().all()
        values = torch.linalg.eigvalsh(given).clamp(min=0)
        assert shrunk_eigenvalues(values, share).rsqrt().isfinite().all()


def test_eigenvalues_shrink_like_their_covariance(gaussian_noise):
    given = covariance(gaussian_noise, 5)
    values = torch.linalg.eigvalsh(given)
    torch.testing.assert_close(
        torch.linalg.eigvalsh(shrunk(given, 0.3)), shrunk_eigenvalues(values, 0.3), rtol=1e-6, atol=0
    )
    assert shrunk_eigenvalues(torch.tensor([4.0, 0.0]), 0).tolist() == pytest.approx([4, 2 * FLOOR])


@pytest.mark.parametrize(("share", "kept"), [(0.5, 1), (0.6, 1), (0.61, 2), (0.9, 2), (0.91, 3), (1, 4)])
def test_as_many_axes_as_the_variance_needs(share, kept):
    values, axes = principal(torch.diag(torch.tensor([0.1, 0.6, 0.0, 0.3]).double()), share)
    torch.testing.assert_close(values, torch.tensor([0.6, 0.3, 0.1, 0.0]).double()[:kept])
    torch.testing.assert_close(axes, torch.eye(4).double()[:, [1, 3, 0, 2]][:, :kept])


def test_axes_point_where_their_largest_entry_is_positive():
    root = math.sqrt(0.5)
    _, axes = principal(torch.tensor([[2.0, -1.0], [-1.0, 2.0]]).double(), 1)
    torch.testing.assert_close(axes.abs(), torch.full((2, 2), root).double())
    assert (axes.gather(0, axes.abs().argmax(0)[None]) > 0).all()


def test_no_variance_at_all_leaves_axes():
    values, axes = principal(torch.zeros(3, 3).double(), 0.99)
    assert not values.any()
    torch.testing.assert_close(axes.T @ axes, torch.eye(axes.shape[1]).double())
