"""A bounded coreset of a stream: farthest-first selections, merged two by two.

MH-PatchCore's memory (arXiv 2605.27748): of each block of vectors a few are kept; two sets of the same rank are
joined and reduced to one of the next rank, as a binary counter carries; all sets that are left in the end are joined
and reduced once more. Nothing is random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


SHORTLIST = 2048


def farthest_first(rows: Tensor, count: int) -> Tensor:
    """Indices of rows [N, C] in order of selection: the farthest from the mean, then the farthest from all chosen.

    The lowest index among equals, none twice; all N where there are no more. Squared distances are computed as
    |x|^2 + |c|^2 - 2 x c, for rows relative to the mean and in double precision: many are nearly equal, and another
    choice changes all later ones.

    Distances to the nearest chosen row only shrink: as long as the farthest of a shortlist is farther than all others
    ever were, it is the farthest of all, and the others need no comparison. Later they are compared with
    all rows that were chosen meanwhile, in one product of matrices.
    """
    import torch

    if count >= len(rows):
        return torch.arange(len(rows), device=rows.device)
    centered = rows.double()
    centered = centered - centered.mean(0)
    squares = centered.square().sum(1)
    chosen = squares.argmax()[None]
    nearest = torch.full_like(squares, torch.inf)
    compared = 0
    while len(chosen) < count:
        nearest = _nearer(nearest, centered, squares, centered[chosen[compared:]])
        nearest[chosen] = -1
        compared = len(chosen)
        chosen = torch.cat([chosen, _farthest_of_shortlist(centered, squares, nearest, count - compared)])
    return chosen


def _farthest_of_shortlist(centered: Tensor, squares: Tensor, nearest: Tensor, count: int) -> Tensor:
    """The next rows to choose, at least one and at most so many: those that follow from the farthest rows alone."""
    import torch

    ordered, order = nearest.sort(descending=True, stable=True)
    others = ordered[SHORTLIST] if len(nearest) > SHORTLIST else ordered.new_tensor(-torch.inf)
    short = order[:SHORTLIST].sort().values
    centered, squares, nearest = centered[short], squares[short], nearest[short]
    chosen: list[int] = []
    while len(chosen) < count:
        place = int(nearest.argmax())
        if chosen and not nearest[place] > others:
            break
        chosen.append(place)
        nearest = _nearer(nearest, centered, squares, centered[place][None])
        nearest[place] = -1
    return short[chosen]


def _nearer(nearest: Tensor, rows: Tensor, squares: Tensor, centers: Tensor) -> Tensor:
    """[N] squared distances to the nearest center, with the additional centers [K, C]."""
    import torch

    for some in torch.split(centers, 64):
        products = torch.addmm(some.square().sum(1), rows, some.T, alpha=-2)
        nearest = torch.minimum(nearest, products.amin(1).add_(squares).clamp_(min=0))
    return nearest


class MergeReduce:
    """The coreset of blocks of vectors that are added one after the other.

    Args:
        count: vectors in the end, at most.
        local: vectors to which a set is reduced before the end, at most.
    """

    def __init__(self, count: int, local: int) -> None:
        self.count, self.local = count, min(count, local)
        self.ranks: dict[int, Tensor] = {}

    def add(self, block: Tensor) -> None:
        """Add vectors [N, C]."""
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
