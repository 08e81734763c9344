"""The contract of a network that learns the density of features."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LOG_2_PI = math.log(2 * math.pi)


class Density(nn.Module, ABC):
    """A network that learns how usual features are, from one or several grids of an image."""

    def begin(self, grids: Sequence[Tensor], generator: torch.Generator) -> None:
        """Take what is fixed before training, such as means, from all examples; by default nothing.

        Args:
            grids: [N, C, H, W] each, on the CPU.
            generator: for what is drawn.
        """

    @abstractmethod
    def loss(self, grids: Sequence[Tensor], noise: torch.Generator) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            grids: [B, C, H, W] each.
            noise: for what is drawn in a step, on the CPU.
        """

    @abstractmethod
    def energy(self, grids: Sequence[Tensor]) -> Tensor:
        """The energies [B, H, W] on the first grid, higher is more anomalous.

        Args:
            grids: [B, C, H, W] each.
        """


def log_likelihood(code: Tensor, log_determinant: Tensor) -> Tensor:
    """The log-likelihood [B] of vectors whose code [B, C] is normally distributed."""
    return log_determinant - (code.square().sum(1) + code.shape[1] * LOG_2_PI) / 2


def vectors_of(grid: Tensor) -> Tensor:
    """The vectors [B * H * W, C] of a grid [B, C, H, W], image after image and row after row."""
    return grid.permute(0, 2, 3, 1).flatten(0, 2)


def some_rows(rows: int, most: int, generator: torch.Generator) -> Tensor:
    """The indices of at most so many different rows, drawn."""
    return torch.randperm(rows, generator=generator)[:most]
