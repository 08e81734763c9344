"""A bounded coreset of a stream: farthest-first selections, merged two by two.

MH-PatchCore's memory (arXiv 2605.27748): of each block of vectors a few are kept; two sets of the same rank are put
together and reduced to one of the next rank, as a binary counter carries; all that is left in the end is put together
and reduced once more. Nothing is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def farthest_first(rows: Tensor, count: int) -> Tensor:
    """Indices of rows [N, C] in order of selection: the farthest from the mean, then the farthest from all chosen.

    The lowest index among equals, none twice; all N where there are no more. Squared distances are computed as
    |x|^2 + |c|^2 - 2 x c, one product of a matrix and a vector for each step, for rows relative to the mean and in
    double precision: many are nearly equal, and one other choice changes all that follow.
    """
    import torch

    if count >= len(rows):
        return torch.arange(len(rows), device=rows.device)
    centered = rows.double()
    centered = centered - centered.mean(0)
    squares = centered.square().sum(1)
    chosen = torch.empty(count, dtype=torch.int64, device=rows.device)
    chosen[0] = squares.argmax()
    nearest = torch.full_like(squares, torch.inf)
    for step in range(1, count):
        last = chosen[step - 1]
        distances = torch.addmv(squares, centered, centered[last], alpha=-2).add_(squares[last])
        torch.minimum(nearest, distances.clamp_(min=0), out=nearest)
        nearest[last] = -1
        chosen[step] = nearest.argmax()
    return chosen


class MergeReduce:
    """The coreset of the blocks that came by.

    Args:
        count: vectors in the end, at most.
        local: vectors that a set is reduced to on the way, at most.
    """

    def __init__(self, count: int, local: int) -> None:
        self.count, self.local = count, min(count, local)
        self.ranks: dict[int, Tensor] = {}

    def add(self, block: Tensor) -> None:
        """Take in vectors [N, C]."""
        rows, rank = block[farthest_first(block, self.local)], 0
        while rank in self.ranks:
            rows = _joined(self.ranks.pop(rank), rows)
            rows, rank = rows[farthest_first(rows, self.local)], rank + 1
        self.ranks[rank] = rows

    def coreset(self) -> Tensor:
        """[K, C]."""
        rows = _joined(*(self.ranks[rank] for rank in sorted(self.ranks)))
        return rows[farthest_first(rows, self.count)]


def _joined(*rows: Tensor) -> Tensor:
    import torch

    return torch.cat(rows)
