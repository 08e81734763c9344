"""Whitened space: normal patches vary alike in all directions, and distances are Mahalanobis distances."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.whitened import Whitened

from adbench import Context
from adbench.engine.run.seed_watch import WatchedContext


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


def stretched(gaussian_noise, *shape, seed=0):
    """Patches that vary much more along some axes than along others, off the origin."""
    axes, _ = torch.linalg.qr(gaussian_noise(shape[-1], shape[-1], seed=9))
    return (gaussian_noise(*shape, seed=seed) * 0.6 ** torch.arange(shape[-1])) @ axes.T + 4


def test_without_shrinkage_the_covariance_becomes_the_identity(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    bank = fitted(Whitened(shrinkage=0), patch_stream(known))
    rows = bank.gaussians.axes.into(known.reshape(-1, 8))
    torch.testing.assert_close(torch.cov(rows.T), torch.eye(8), rtol=0, atol=1e-4)
    torch.testing.assert_close(rows.mean(0), torch.zeros(8), rtol=0, atol=1e-4)


@pytest.mark.proves("mh-patchcore")
def test_distances_are_by_the_shrunk_covariance(patch_stream, gaussian_noise):
    """Squared: min over the kept patches of (x - m)^T inv(0.93 S + 0.07 tr(S) / C I) (x - m)."""
    known, asked = stretched(gaussian_noise, 6, 5, 5, 8), stretched(gaussian_noise, 2, 5, 5, 8, seed=1)
    bank = fitted(Whitened(count=20), patch_stream(known))
    covariance = torch.cov(known.reshape(-1, 8).double().T)
    inverse = torch.linalg.inv(0.93 * covariance + 0.07 * covariance.trace() / 8 * torch.eye(8))
    offsets = asked.reshape(-1, 1, 8).double() - bank.mean.double()
    expected = ((offsets @ inverse) * offsets).sum(-1).amin(1).reshape(2, 5, 5)
    (query,) = patch_stream(asked)
    seen = Mahalanobis(squared=True).score(query, bank).patches.double()
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bank.precision[3].double(), inverse, rtol=1e-4, atol=1e-4)


def test_what_is_kept_are_patches(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    bank = fitted(Whitened(count=20), patch_stream(known))
    assert bank.mean.shape == (20, 8)
    distances = (bank.mean[:, None] - known.reshape(-1, 8)).norm(dim=-1)
    assert distances.amin(1).max() < 1e-5


@pytest.mark.parametrize("variance", [0.9, 0.99])
def test_components_explain_the_share_of_the_variance(variance, patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    values = torch.linalg.eigvalsh(torch.cov(known.reshape(-1, 8).double().T)).flip(0)
    kept = fitted(Whitened(variance=variance), patch_stream(known)).gaussians.means.shape[1]
    explained = values.cumsum(0) / values.sum()
    assert explained[kept - 1] >= variance > explained[kept - 2]


def test_neither_the_seed_nor_the_cut_into_batches_matters(patch_stream, gaussian_noise):
    known = stretched(gaussian_noise, 6, 5, 5, 8)
    banks = [
        fitted(Whitened(count=20, images=4, local=12), patch_stream(*known.split(size)), seed)
        for size, seed in ((6, 0), (6, 1), (1, 0))
    ]
    assert torch.equal(banks[0].mean, banks[1].mean)
    torch.testing.assert_close(banks[0].mean, banks[2].mean, rtol=1e-4, atol=1e-4)


def test_two_walks_are_enough(patch_stream, gaussian_noise):
    walks = []

    class Counting(patch_stream):
        def __iter__(self):
            walks.append(1)
            return super().__iter__()

    fitted(Whitened(count=3), Counting(gaussian_noise(3, 2, 2, 4)))
    assert len(walks) == Whitened.passes == 2


def test_nothing_is_drawn(patch_stream, gaussian_noise):
    ctx = WatchedContext()
    bank = Whitened()
    bank.prepare(ctx)
    bank.fit(patch_stream(gaussian_noise(2, 6, 6, 4)), ctx)
    assert not ctx.seed_read
