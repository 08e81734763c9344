"""Sums that are taken vector by vector give the mean and covariance of all."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import moments as module
from adbench_gaussian.moments import Moments


def covariances(rows):
    """[P, C, C] of rows [n, P, C], the plain way."""
    return torch.stack(
        [torch.cov(rows[:, place].double().T).reshape(rows.shape[2], -1) for place in range(rows.shape[1])]
    )


def summed(rows, patience, step=3):
    moments = Moments(rows[:step].mean(0), patience)
    for start in range(0, len(rows), step):
        moments.add(rows[start : start + step])
    return moments


def test_a_small_case_by_hand():
    """(0, 0), (2, 4), (4, 2): mean (2, 2), covariance [[4, 2], [2, 4]]."""
    moments = Moments(torch.tensor([[7.0, -1.0]]))
    moments.add(torch.tensor([[[0.0, 0.0]], [[2.0, 4.0]], [[4.0, 2.0]]]))
    assert moments.count == 3
    torch.testing.assert_close(moments.mean(), torch.tensor([[2.0, 2.0]]).double())
    torch.testing.assert_close(moments.covariance(), torch.tensor([[[4.0, 2.0], [2.0, 4.0]]]).double())
    torch.testing.assert_close(moments.scatter(), 2 * moments.covariance())


@pytest.mark.parametrize("patience", [1, 4, 100])
@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_held_back_or_summed_up_it_is_the_same(patience, block, gaussian_noise, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    rows = gaussian_noise(11, 5, 4) + 3
    moments = summed(rows, patience)
    torch.testing.assert_close(moments.mean(), rows.double().mean(0))
    torch.testing.assert_close(moments.covariance(), covariances(rows))
    parts = torch.cat([moments.covariance(part) for part in moments.parts()])
    torch.testing.assert_close(parts, covariances(rows))


def test_asking_changes_nothing(gaussian_noise):
    moments = summed(gaussian_noise(11, 5, 4), 4)
    assert torch.equal(moments.covariance(), moments.covariance())


@pytest.mark.parametrize("patience", [1, 100])
def test_far_from_the_origin_nothing_cancels(patience, gaussian_noise):
    """The plain sums of squares in single precision would be wrong by more than the variance."""
    rows = 1e3 + 0.01 * gaussian_noise(50, 2, 3)
    torch.testing.assert_close(summed(rows, patience).covariance(), covariances(rows), rtol=1e-9, atol=1e-15)


def test_an_inverse_of_fewer_vectors_than_channels_is_exact(gaussian_noise):
    """Eigenvalues from 0.01 to about 1,000: single precision would leave 10^5 times its own error, 1 %."""
    rows = gaussian_noise(20, 3, 40) * 10
    regular = 0.01 * torch.eye(40).double()
    seen, exact = (torch.linalg.inv(one + regular) for one in (summed(rows, 1).covariance(), covariances(rows)))
    torch.testing.assert_close(seen, exact, rtol=1e-8, atol=1e-8)


def test_one_vector_varies_by_nothing_and_none_are_at_the_shift():
    moments = Moments(torch.tensor([[1.0, 2.0]]))
    assert moments.mean().tolist() == [[1, 2]]
    moments.add(torch.tensor([[[5.0, 5.0]]]))
    assert moments.mean().tolist() == [[5, 5]]
    assert not moments.covariance().any()
