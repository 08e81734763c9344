"""Kinds of patches: their means, and covariances of each or of all."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.prototypes import Prototypes

from adbench import Context
from adbench.builtin.toy import ToyMahalanobis


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


def kinds(gaussian_noise, images=4, seed=0):
    """[images, 6, 5, 4]: patches of three kinds far apart, which vary differently; and the kinds [6, 5]."""
    kind = torch.arange(30).reshape(6, 5) % 3
    places = 50 * gaussian_noise(3, 4, seed=7)
    spread = torch.stack([gaussian_noise(4, 4, seed=seed) for seed in (11, 12, 13)])
    noise = gaussian_noise(images, 6, 5, 4, seed=seed)
    return places[kind] + (noise[..., None, :] @ spread[kind]).squeeze(-2), kind


def expected(known, kind, asked, shrinkage, *, shared):
    """[B, 6, 5] by the plain formulas: the smallest distance to a kind."""
    groups = [known[:, kind == one].reshape(-1, 4).double() for one in range(3)]
    offsets = [group - group.mean(0) for group in groups]
    within = sum(offset.T @ offset for offset in offsets) / (sum(map(len, groups)) - 3)
    sphere = within.trace() / 4 * torch.eye(4)
    distances = []
    for group, offset in zip(groups, offsets, strict=True):
        own = within if shared else offset.T @ offset / (len(group) - 1)
        inverse = torch.linalg.inv((1 - shrinkage) * own + shrinkage * sphere)
        away = asked.double() - group.mean(0)
        distances.append(((away @ inverse) * away).sum(-1).sqrt())
    return torch.stack(distances).amin(0)


@pytest.mark.proves("prototype-mahalanobis")
@pytest.mark.parametrize("covariance", ["shared", "cluster"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_distances_to_the_nearest_kind(covariance, shrinkage, patch_stream, gaussian_noise):
    (known, kind), (asked, _) = kinds(gaussian_noise), kinds(gaussian_noise, 2, seed=1)
    bank = fitted(Prototypes(count=3, covariance=covariance, shrinkage=shrinkage), patch_stream(known[:3], known[3:]))
    assert bank.mean.shape == (3, 4)
    assert bank.precision.shape == (3, 4, 4)
    (query,) = patch_stream(asked)
    wanted = expected(known, kind, asked, shrinkage, shared=covariance == "shared")
    seen = Mahalanobis().score(query, bank).patches.double()
    torch.testing.assert_close(seen, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ToyMahalanobis().score(query, bank).patches.double(), wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.proves("prototype-mahalanobis")
def test_one_prototype_is_a_single_gaussian(patch_stream, gaussian_noise):
    """Rippel, Mertens and Merhof: the distance by the mean and the shrunk covariance of everything."""
    known, asked = gaussian_noise(5, 3, 3, 4), gaussian_noise(2, 3, 3, 4, seed=1)
    bank = fitted(Prototypes(count=1, shrinkage=0), patch_stream(known))
    rows = known.reshape(-1, 4).double()
    away = asked.double() - rows.mean(0)
    wanted = ((away @ torch.linalg.inv(torch.cov(rows.T))) * away).sum(-1).sqrt()
    (query,) = patch_stream(asked)
    torch.testing.assert_close(Mahalanobis().score(query, bank).patches.double(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance", ["shared", "cluster"])
def test_principal_components_leave_out_what_varies_least(covariance, patch_stream, gaussian_noise):
    """What lies across the kept components is not seen."""
    known = gaussian_noise(5, 4, 4, 3) * torch.tensor([5.0, 1.0, 0.001])
    bank = fitted(Prototypes(count=2, covariance=covariance, variance=0.999), patch_stream(known))
    assert bank.gaussians.means.shape[1] == 2
    query, moved = patch_stream(known[:1], known[:1] + torch.tensor([0.0, 0.0, 0.5])).batches
    near, far = (Mahalanobis().score(one, bank).patches for one in (query, moved))
    torch.testing.assert_close(near, far, rtol=1e-2, atol=1e-2)


def test_the_seed_decides(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(5, 6, 6, 4))
    first, again, other = (fitted(Prototypes(count=5, sample=60), stream, seed).mean for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_moments_are_of_all_patches_though_centers_are_of_a_sample(patch_stream, gaussian_noise):
    known, kind = kinds(gaussian_noise)
    bank = fitted(Prototypes(count=3, sample=40), patch_stream(known))
    means = torch.stack([known[:, kind == one].reshape(-1, 4).mean(0) for one in range(3)])
    assert torch.cdist(means, bank.mean).amin(1).max() < 1e-3


def test_a_kind_of_a_single_patch_is_a_sphere_of_everybodys_size(patch_stream):
    rows = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [90.0, 90.0]])
    bank = fitted(Prototypes(count=2, covariance="cluster", shrinkage=0.5), patch_stream(rows.reshape(1, 1, 5, 2)))
    alone = int(bank.mean.sum(1).argmax())
    within = 4 / 3  # four patches at a distance of 1 from their mean along each axis; 5 - 2 degrees of freedom
    torch.testing.assert_close(bank.precision[alone], torch.eye(2) / (0.5 * within), rtol=1e-4, atol=1e-5)


def test_images_that_all_look_the_same_are_learned_from(patch_stream):
    for covariance in ("shared", "cluster"):
        bank = fitted(Prototypes(covariance=covariance), patch_stream(torch.ones(2, 2, 2, 3)))
        assert bank.mean.tolist() == [[1, 1, 1]]
        assert bank.precision.isfinite().all()
