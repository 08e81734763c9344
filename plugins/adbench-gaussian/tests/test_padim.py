"""PaDiM's means and inverse covariances, and the memory that they need."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import moments
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.padim import Padim

from adbench import Context, ContractError, DataError, UsageError
from adbench.api.banks import room
from adbench.builtin.toy import ToyMahalanobis


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


def plain(known, asked, regularization):
    """[B, H, W] float64: sqrt((x - m)^T inv(S + r I) (x - m)), place by place."""
    scores = torch.empty(asked.shape[:3]).double()
    for row in range(known.shape[1]):
        for column in range(known.shape[2]):
            rows = known[:, row, column].double()
            inverse = torch.linalg.inv(torch.cov(rows.T) + regularization * torch.eye(rows.shape[1]))
            offsets = asked[:, row, column].double() - rows.mean(0)
            scores[:, row, column] = ((offsets @ inverse) * offsets).sum(1).sqrt()
    return scores


@pytest.mark.proves("padim")
def test_a_small_case_by_hand(patch_stream):
    """Two images, one place: (0, 0) and (2, 0), mean (1, 0), covariance diag(2, 0) + I = diag(3, 1)."""
    bank = fitted(Padim(regularization=1), patch_stream(torch.tensor([[[[0.0, 0.0]]], [[[2.0, 0.0]]]])))
    assert bank.mean.tolist() == [[[1, 0]]]
    torch.testing.assert_close(bank.precision, torch.diag(torch.tensor([1 / 3, 1])).reshape(1, 1, 2, 2))
    (query,) = patch_stream(torch.tensor([[[[4.0, 2.0]]]]))
    assert Mahalanobis().score(query, bank).patches.flatten().tolist() == pytest.approx([(9 / 3 + 4) ** 0.5])


@pytest.mark.proves("padim")
@pytest.mark.parametrize("images", [6, 40])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_cholesky_is_inv(images, block, patch_stream, gaussian_noise, monkeypatch):
    """Held back or summed up, in blocks of one place or all at once."""
    monkeypatch.setattr(moments, "BLOCK", block)
    known, asked = gaussian_noise(images, 3, 4, 9) + 5, gaussian_noise(4, 3, 4, 9, seed=1) + 5
    bank = fitted(Padim(regularization=0.02), patch_stream(known[:5], known[5:]))
    (query,) = patch_stream(asked)
    expected = plain(known, asked, 0.02)
    for scorer in (Mahalanobis(), ToyMahalanobis()):
        seen = scorer.score(query, bank).patches.double()
        torch.testing.assert_close(seen, expected, rtol=1e-4 if scorer.name.startswith("toy") else 1e-6, atol=0)


def test_channels_are_drawn_from_the_seed_and_the_others_do_not_matter(patch_stream, gaussian_noise):
    known, asked = gaussian_noise(20, 3, 4, 9), gaussian_noise(4, 3, 4, 9, seed=1)
    banks = [fitted(Padim(dim=4), patch_stream(known), seed) for seed in (1, 1, 2)]
    chosen = [bank.gaussians.channels.tolist() for bank in banks]
    assert chosen[0] == chosen[1] != chosen[2]
    assert all(len(set(some)) == 4 and some == sorted(some) for some in chosen)
    (query,) = patch_stream(asked)
    expected = plain(known[..., chosen[0]], asked[..., chosen[0]], 0.01)
    torch.testing.assert_close(Mahalanobis().score(query, banks[0]).patches.double(), expected, rtol=1e-6, atol=0)
    assert banks[0].mean.shape == (3, 4, 9)
    assert banks[0].precision.shape == (3, 4, 9, 9)
    torch.testing.assert_close(ToyMahalanobis().score(query, banks[0]).patches.double(), expected, rtol=1e-4, atol=0)


def test_the_cut_into_batches_does_not_matter(patch_stream, gaussian_noise):
    known = gaussian_noise(20, 2, 2, 5)
    one, other = fitted(Padim(), patch_stream(known)), fitted(Padim(), patch_stream(*known.split(3)))
    torch.testing.assert_close(one.gaussians.matrices, other.gaussians.matrices, rtol=1e-5, atol=1e-6)


def test_state_is_the_factors_alone(patch_stream, gaussian_noise):
    """What a file of it takes: no inverse covariances beside them."""
    state = fitted(Padim(dim=4), patch_stream(gaussian_noise(20, 3, 4, 9))).state()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "means": (3, 4, 4),
        "matrices": (3, 4, 4, 4),
        "channels": (4,),
        "width": (),
    }


def test_another_grid_is_refused(patch_stream, gaussian_noise):
    with pytest.raises(DataError, match="grid of 2 x 3 patches, but an image has 3 x 2; resize"):
        fitted(Padim(), patch_stream(gaussian_noise(2, 2, 3, 4), gaussian_noise(1, 3, 2, 4)))
    bank = fitted(Padim(), patch_stream(gaussian_noise(2, 2, 3, 4)))
    (query,) = patch_stream(gaussian_noise(1, 3, 2, 4))
    with pytest.raises(DataError, match="scorer 'mahalanobis' .* 2 x 3 patches, but an image has 3 x 2"):
        Mahalanobis().score(query, bank)


def test_what_cannot_be_learned_from_is_refused(patch_stream, gaussian_noise):
    with pytest.raises(UsageError, match="has learned nothing yet"):
        _ = Padim().mean
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted(Padim(), patch_stream())
    broken = gaussian_noise(3, 2, 2, 4)
    broken[1, 0, 1, 2] = float("nan")
    with pytest.raises(ContractError, match="'image 1' has NaN"):
        fitted(Padim(), patch_stream(broken))
    with pytest.raises(ContractError, match="got 4 and then 5"):
        fitted(Padim(), patch_stream(gaussian_noise(1, 2, 2, 4), gaussian_noise(1, 2, 2, 5)))


def test_what_does_not_fit_is_refused_before_it_is_built(patch_stream, gaussian_noise, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda device: 10_000)
    with pytest.raises(UsageError, match=r"covariances of 50 channels at 20 places would need .* GB .* dim"):
        fitted(Padim(dim=50), patch_stream(gaussian_noise(2, 4, 5, 60)))
    bank = fitted(Padim(dim=4), patch_stream(gaussian_noise(2, 4, 5, 60)))
    with pytest.raises(UsageError, match="use the scorer 'mahalanobis'"):
        _ = bank.precision
