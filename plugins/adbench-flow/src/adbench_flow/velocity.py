"""The network of flow matching: velocities of whitened vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from adbench_flow.density import Density, some_rows, vectors_of
from adbench_flow.grids import on_one_grid
from adbench_flow.positions import position_codes, waves

TIME = 32
"""Values of a time's code."""

SCALE = 1000.0
"""A time from 0 to 1 is coded as a position from 0 to this, so that its waves are short enough."""

LEAST = 1e-5
"""Variances below this share of the largest one count as this much: whitening would make rounding large."""

ROUNDING = 1e-6
"""A spread below this share of the largest value is only rounding, and counts as none."""


class Whitening(nn.Module):
    """Vectors made uncorrelated, with variances of one.

    Args:
        channels: of a vector.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("matrix", torch.eye(channels))

    def fit(self, rows: Tensor) -> None:
        """Take mean and covariance of vectors [N, C], in double precision; equal vectors are only centred."""
        mean = rows.mean(0, dtype=torch.float64)
        covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
        for part in torch.split(rows, 1 << 14):
            centred = part.double() - mean
            covariance += centred.T @ centred
        values, axes = torch.linalg.eigh(covariance / len(rows))
        self.mean.copy_(mean)
        if values.max() > (ROUNDING * rows.abs().max().double()) ** 2:
            self.matrix.copy_(axes / values.clamp(min=LEAST * values.max()).sqrt())

    def forward(self, rows: Tensor) -> Tensor:
        """Whitened vectors [N, C]."""
        return (rows - self.mean) @ self.matrix


class Velocity(nn.Module):
    """A residual network on single vectors, with the codes of time and place.

    Args:
        channels: of a vector.
        condition: the length of a place's code.
        width: hidden values.
        depth: hidden layers.
    """

    def __init__(self, channels: int, condition: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [channels + TIME + condition, *[width] * depth]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.last = nn.Linear(width, channels)

    def forward(self, rows: Tensor, times: Tensor, places: Tensor) -> Tensor:
        """The velocities [N, C] of vectors [N, C] at times [N] and places [N, condition]."""
        hidden = torch.cat([rows, waves(SCALE * times, TIME), places], dim=1)
        for number, layer in enumerate(self.layers):
            added = silu(layer(hidden))
            hidden = hidden + added if number else added
        answer: Tensor = self.last(hidden)
        return answer


class VelocityDensity(Density):
    """Velocities of the vectors of each grid.

    Args:
        shapes: channels, height and width of each grid.
        width, depth: of the network's hidden layers.
        condition: the length of a place's code.
        vectors: of a step and grid.
        draws: times and noises of an energy; 0 for one reversed step.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        *,
        width: int,
        depth: int,
        condition: int,
        vectors: int,
        draws: int,
    ) -> None:
        super().__init__()
        self.whitenings = nn.ModuleList(Whitening(shape[0]) for shape in shapes)
        self.velocities = nn.ModuleList(Velocity(shape[0], condition, width, depth) for shape in shapes)
        for number, shape in enumerate(shapes):
            self.register_buffer(f"noise{number}", torch.zeros(draws, shape[0]))
        self._condition, self._vectors, self._draws = condition, vectors, draws

    def begin(self, grids: Sequence[Tensor], generator: torch.Generator) -> None:
        """Fit the whitening, and draw the noise of the energies."""
        for number, grid in enumerate(grids):
            whitening = self.whitenings[number]
            assert isinstance(whitening, Whitening)
            whitening.fit(vectors_of(grid))
            noise = self.get_buffer(f"noise{number}")
            noise.copy_(torch.randn(noise.shape, generator=generator))

    def loss(self, grids: Sequence[Tensor], noise: torch.Generator) -> Tensor:
        """The mean squared error of velocities at drawn times on straight paths (arXiv 2210.02747), over all grids."""
        losses = []
        for number, grid in enumerate(grids):
            rows, places = vectors_of(grid), self._places(grid)
            chosen = some_rows(len(rows), self._vectors, noise)
            times = torch.rand(len(chosen), generator=noise).to(grid.device)
            chosen = chosen.to(grid.device)
            ends = self.whitenings[number](rows[chosen])
            starts = torch.randn(ends.shape, generator=noise).to(ends)
            losses.append(self._mismatch(number, starts, ends, times, places[chosen]).mean())
        return torch.stack(losses).mean()

    def energy(self, grids: Sequence[Tensor]) -> Tensor:
        energies = []
        for number, grid in enumerate(grids):
            ends, places = self.whitenings[number](vectors_of(grid)), self._places(grid)
            found = self._mismatches(number, ends, places) if self._draws else self._one_step(number, ends, places)
            energies.append(found.reshape(len(grid), *grid.shape[2:]))
        return torch.stack(list(on_one_grid(energies))).mean(0)

    def _mismatches(self, number: int, ends: Tensor, places: Tensor) -> Tensor:
        """The mean mismatch [N] over the fixed noises, each at its own time."""
        noises = self.get_buffer(f"noise{number}")
        total = torch.zeros(len(ends), device=ends.device)
        for draw, noise in enumerate(noises):
            times = ends.new_full((len(ends),), (draw + 0.5) / self._draws)
            total += self._mismatch(number, noise.expand_as(ends), ends, times, places)
        return total / self._draws

    def _mismatch(self, number: int, starts: Tensor, ends: Tensor, times: Tensor, places: Tensor) -> Tensor:
        """The squared error a channel [N] of the velocity on the straight way from start to end [N, C]."""
        between = starts + times[:, None] * (ends - starts)
        found = self.velocities[number](between, times, places)
        error: Tensor = (found - (ends - starts)).square().mean(1)
        return error

    def _one_step(self, number: int, ends: Tensor, places: Tensor) -> Tensor:
        """The squared length a channel [N] of the noise that vectors come from, by one step back from time 1."""
        velocity = self.velocities[number](ends, torch.ones(len(ends), device=ends.device), places)
        lengths: Tensor = (ends - velocity).square().mean(1)
        return lengths

    def _places(self, grid: Tensor) -> Tensor:
        codes = position_codes(grid.shape[2], grid.shape[3], self._condition)
        return codes.to(grid.device).repeat(len(grid), 1)
