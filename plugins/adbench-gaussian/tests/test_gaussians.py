"""One measure for every bank of Gaussians, whoever wrote it."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import gaussians as module
from adbench_gaussian.covariance import inverse_factor
from adbench_gaussian.gaussians import squared_lengths
from adbench_gaussian.reading import gaussians_of

from adbench import Context, GaussianBank
from adbench.builtin.toy import ToyGaussian


class Foreign(GaussianBank):
    """A bank of somebody else's, which knows nothing of factors."""

    name = "foreign"

    def __init__(self, mean, precision):
        super().__init__()
        self._mean, self._precision = mean, precision

    mean = property(lambda self: self._mean)
    precision = property(lambda self: self._precision)

    def fit(self, features, ctx):
        """Nothing to learn."""

    def state(self):
        return {}

    def restore(self, state):
        """Nothing to take."""


def precisions(gaussian_noise, *shape):
    roots = gaussian_noise(*shape, shape[-1]).double()
    return roots @ roots.mT + torch.eye(shape[-1])


@pytest.mark.parametrize("strip", [1, 3, 64])
@pytest.mark.parametrize("form", ["factor", "precision"])
def test_lengths_are_distances(strip, form, gaussian_noise, monkeypatch):
    monkeypatch.setattr(module, "STRIP", strip)
    inverses, offsets = precisions(gaussian_noise, 5, 7), gaussian_noise(5, 4, 7, seed=1).double()
    matrices = inverses if form == "precision" else inverse_factor(torch.linalg.inv(inverses))
    expected = torch.einsum("pni,pij,pnj->pn", offsets, inverses, offsets)
    torch.testing.assert_close(squared_lengths(offsets, matrices, form), expected)


def test_distances_never_come_out_negative():
    """Of a precision that is not quite positive, as rounding makes them."""
    assert squared_lengths(torch.ones(1, 1, 2), torch.tensor([[[-1e-9, 0.0], [0.0, 0.0]]]), "precision").item() == 0


@pytest.mark.parametrize("lead", [(), (6,), (3, 4)])
def test_a_foreign_bank_of_any_shape(lead, patch_stream, gaussian_noise):
    """One Gaussian, several of which the nearest counts, or one a place."""
    bank = Foreign(gaussian_noise(*lead, 5), precisions(gaussian_noise, *lead, 5).float())
    patches = gaussian_noise(2, 3, 4, 5, seed=1)
    offsets = patches[..., None, :] - bank.mean if lead == (6,) else patches - bank.mean
    squared = torch.einsum("...i,...ij,...j->...", offsets, bank.precision, offsets)
    expected = squared.amin(-1) if lead == (6,) else squared
    seen, index = gaussians_of(bank).nearest(patches, "scorer")
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)
    assert index.shape == (2, 3, 4)
    if lead == (6,):
        assert torch.equal(index, squared.argmin(-1))


def test_the_bank_that_is_built_in(patch_stream, gaussian_noise):
    bank = ToyGaussian()
    bank.fit(patch_stream(gaussian_noise(4, 3, 3, 5)), Context())
    assert torch.equal(gaussians_of(bank).mean(), bank.mean[None])
    torch.testing.assert_close(gaussians_of(bank).precision(), bank.precision[None])
