"""CFLOW-AD's network: a conditional flow on the vectors of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from adbench_flow.coupling import chain, dense
from adbench_flow.density import Density, log_likelihood, some_rows, vectors_of
from adbench_flow.grids import on_one_grid
from adbench_flow.positions import position_codes


class VectorsFlow(Density):
    """Conditional flows on single vectors (CFLOW-AD, arXiv 2107.12571).

    Args:
        shapes: channels, height and width of each layer.
        blocks: coupling blocks of a flow.
        condition: the length of a place's code.
        clamp: bound of a block's log scales.
        vectors: of a step and layer.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int, int]], blocks: int, condition: int, clamp: float, vectors: int
    ) -> None:
        super().__init__()
        self.flows = nn.ModuleList(chain((shape[0],), [dense] * blocks, clamp, condition) for shape in shapes)
        self._condition, self._vectors = condition, vectors

    def loss(self, grids: Sequence[Tensor], noise: torch.Generator) -> Tensor:
        """The mean of -log sigmoid of the log-likelihood a channel, of drawn vectors (the authors' code)."""
        losses = []
        for number, grid in enumerate(grids):
            rows, places = vectors_of(grid), self._places(grid)
            chosen = some_rows(len(rows), self._vectors, noise).to(grid.device)
            losses.append(-logsigmoid(self._likelihood(number, rows[chosen], places[chosen])).mean())
        return torch.stack(losses).mean()

    def energy(self, grids: Sequence[Tensor]) -> Tensor:
        energies = []
        for number, grid in enumerate(grids):
            likelihood = self._likelihood(number, vectors_of(grid), self._places(grid))
            energies.append(-likelihood.reshape(len(grid), *grid.shape[2:]))
        return torch.stack(list(on_one_grid(energies))).mean(0)

    def _likelihood(self, number: int, rows: Tensor, places: Tensor) -> Tensor:
        """The log-likelihood a channel [N] of vectors [N, C] of a layer."""
        code, log_determinant = self.flows[number](rows, [places])
        return log_likelihood(code, log_determinant) / rows.shape[1]

    def _places(self, grid: Tensor) -> Tensor:
        """The codes [B * H * W, condition] of the places of `vectors_of` the grid."""
        codes = position_codes(grid.shape[2], grid.shape[3], self._condition)
        return codes.to(grid.device).repeat(len(grid), 1)
