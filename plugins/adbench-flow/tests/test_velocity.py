"""Flow matching: whitening, and energies against closed forms."""

from __future__ import annotations

import pytest
import torch
from adbench_flow.positions import position_codes, waves
from adbench_flow.velocity import VelocityDensity, Whitening
from torch import nn


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.proves("flow-matching", "flow-matching-lite")
def test_whitened_vectors_are_uncorrelated():
    rows = drawn(2000, 5) @ drawn(5, 5, seed=1) + 3
    whitening = Whitening(5)
    whitening.fit(rows)
    found = whitening(rows)
    torch.testing.assert_close(found.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.T.cov(correction=0), torch.eye(5), atol=1e-3, rtol=0)


def test_a_value_that_never_changes_is_not_blown_up():
    rows = drawn(100, 3)
    rows[:, 1] = 7.0
    whitening = Whitening(3)
    whitening.fit(rows)
    assert whitening(rows).abs().max() < 10


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_vectors_that_are_all_equal_are_only_centred(value):
    """Nothing is known of their spread: a division by its rounding would make any other vector infinite."""
    rows = torch.full((50, 3), value)
    whitening = Whitening(3)
    whitening.fit(rows)
    assert whitening(rows).abs().max() <= 1e-6 * value
    assert whitening(rows + 1).square().sum(1).max() == pytest.approx(3, rel=0.1)


class Still(nn.Module):
    """The velocity 0 everywhere."""

    def forward(self, rows, times, places):
        return torch.zeros_like(rows)


def still(draws):
    density = VelocityDensity([(4, 2, 3)], width=8, depth=2, condition=8, vectors=10, draws=draws)
    density.begin([drawn(50, 4, 2, 3)], torch.Generator().manual_seed(5))
    density.velocities[0] = Still()
    return density


@pytest.mark.proves("flow-matching", "flow-matching-lite")
def test_the_mismatch_of_a_still_network_is_the_squared_way():
    density, grid = still(draws=3), drawn(1, 4, 2, 3, seed=2)
    ends = density.whitenings[0](grid.permute(0, 2, 3, 1)[0])
    expected = sum((ends - noise).square().mean(-1) for noise in density.noise0) / 3
    torch.testing.assert_close(density.energy([grid])[0], expected)


def test_the_one_step_of_a_still_network_is_the_squared_length():
    density, grid = still(draws=0), drawn(1, 4, 2, 3, seed=2)
    ends = density.whitenings[0](grid.permute(0, 2, 3, 1)[0])
    torch.testing.assert_close(density.energy([grid])[0], ends.square().mean(-1))


@pytest.mark.proves("cflow", "cflow-lite")
def test_codes_of_places_differ_and_have_rows_and_columns():
    codes = position_codes(5, 7, 16)
    assert codes.shape == (35, 16)
    assert torch.cdist(codes, codes).add(torch.eye(35)).min() > 0.1
    table = codes.view(5, 7, 16)
    assert torch.equal(table[0, :, :8], table[4, :, :8])
    assert torch.equal(table[:, 0, 8:], table[:, 6, 8:])
    angles = torch.tensor([3.0, 3.0 / 100])
    torch.testing.assert_close(waves(torch.tensor(3.0), 4), torch.cat([angles.sin(), angles.cos()]))
