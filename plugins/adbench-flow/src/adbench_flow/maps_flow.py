"""FastFlow's network: a chain of convolutional couplings for each feature map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from adbench_flow.coupling import chain, convolutions
from adbench_flow.density import Density
from adbench_flow.grids import on_one_grid


class MapsFlow(Density):
    """Flows over whole maps (FastFlow, arXiv 2111.07677).

    Args:
        shapes: channels, height and width of each map.
        kernels: side of the convolutions of each block.
        ratio: hidden channels of a block by those that it reads.
        clamp: bound of a block's log scales.
        probability: whether an energy is -exp(-mean z^2 / 2) instead of mean z^2 / 2.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int, int]],
        kernels: Sequence[int],
        ratio: float,
        clamp: float,
        *,
        probability: bool,
    ) -> None:
        super().__init__()
        subnets = [convolutions(kernel, ratio) for kernel in kernels]
        self.flows = nn.ModuleList(chain(shape, subnets, clamp) for shape in shapes)
        self._probability = probability

    def loss(self, grids: Sequence[Tensor], noise: torch.Generator) -> Tensor:  # noqa: ARG002 - nothing is drawn
        """The negative log-likelihood of a map up to a constant, the mean over the batch, added up over the layers."""
        losses = [(code.square().flatten(1).sum(1) / 2 - jacobian).mean() for code, jacobian in self._codes(grids)]
        return torch.stack(losses).sum()

    def energy(self, grids: Sequence[Tensor]) -> Tensor:
        halves = [code.square().mean(1) / 2 for code, _ in self._codes(grids)]
        energies = [-(-half).exp() for half in halves] if self._probability else halves
        return torch.stack(list(on_one_grid(energies))).mean(0)

    def _codes(self, grids: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """The code [B, C, H, W] of each map, and the log-determinants [B]."""
        for flow, grid in zip(self.flows, grids, strict=True):
            yield flow(layer_norm(grid, grid.shape[1:]))
