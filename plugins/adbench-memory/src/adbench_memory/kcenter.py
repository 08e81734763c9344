"""Greedy k-center: the coreset selection of PatchCore, with the plain loop's own answer in a fraction of its time.

Starting from one point, the point farthest from all chosen ones is chosen next, again and again: Gonzalez, "Clustering
to minimize the maximum intercluster distance" (1985), within twice the optimal radius; proposed for coresets of deep
features by Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach" (2018), and
used in PatchCore, arXiv 2106.08265, section 3.2 (Algorithm 1).

`plain_k_center` is the definition. `greedy_k_center` selects the same points, bit for bit, on two observations:

*Distances to the nearest center only ever shrink.* So a distance that was measured some centers ago is an upper bound.
The 2,048 points with the largest bounds are the shortlist, and the largest bound among the others is its floor. While
the shortlist's best is above the floor, the other points cannot win and are not looked at. When it sinks below, they
catch up with all centers that were chosen since, in one matrix product, and the shortlist is made anew. That happens
about ten times in a thousand steps.

*A matrix product need not be exact to be sure.* |x|² - 2 x·c + |c|² rounds otherwise than the plain sum of (x - c)².
With unit roundoff u, C channels and x, c relative to the data's mean (rounded to float32), both forms together differ
by at most (4 C + 12) u (|x|² + |c|²) to first order: (2 C + 4) for the direct form, as the squared distance is at most
2 (|x|² + |c|²), 4 for the subtraction of the mean, and (2 C + 4) for the product. `_roundoff` is a little above that.
Since |c|² <= 2 |x - c|² + 2 |x|², a center with a large norm cannot blur a point that is far from it: the error of the
distance to the nearest center is at most roundoff * (3 |x|² + 2 distance²). Upper bounds carry it, and whenever more
than one point may be the farthest, the plain arithmetic decides among them (`_Chosen.settle`). Where so many distances
are equal that this becomes a task of its own (orthogonal vectors), the plain loop takes over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from adbench import UsageError

if TYPE_CHECKING:
    from torch import Tensor

SHORTLIST = 2048
PRODUCT = 1 << 19  # elements of one matrix product, 2 MiB: it stays in the cache
DIFFERENCES = 1 << 22  # elements of one batch of direct differences, 16 MiB


def greedy_k_center(vectors: Tensor, count: int, start: int) -> Tensor:
    """The points that greedy k-center selects, in order of selection, exactly as `plain_k_center` does.

    Fast on the CPU. Elsewhere it is the plain loop itself, which an accelerator runs at the speed of its memory.

    Args:
        vectors: [N, C] float32.
        count: how many to select, 1 to N.
        start: the first one.

    Returns:
        [count] int64 indices. Once every point coincides with a selected one, index 0 fills the rest.

    Raises:
        UsageError: count or start is out of range.
    """
    if not 0 < count <= len(vectors):
        raise UsageError(f"k-center: cannot select {count} of {len(vectors)} vectors; ask for 1 to {len(vectors)}")
    if not 0 <= start < len(vectors):
        raise UsageError(f"k-center: start {start} is not among the {len(vectors)} vectors")
    vectors = vectors.float().contiguous()
    if vectors.device.type != "cpu":
        return plain_k_center(vectors, count, start)
    return _select(vectors, count, start)


def plain_k_center(vectors: Tensor, count: int, start: int) -> Tensor:
    """Greedy k-center as it is defined: one pass over all points a step, the lowest index among equals."""
    import torch

    chosen = torch.empty(count, dtype=torch.int64, device=vectors.device)
    nearest = torch.full((len(vectors),), math.inf, device=vectors.device)
    difference, distance = torch.empty_like(vectors), torch.empty_like(nearest)
    chosen[0] = start
    for step in range(1, count):
        torch.sub(vectors, vectors[chosen[step - 1]], out=difference)
        torch.sum(difference.mul_(difference), 1, out=distance)
        torch.minimum(nearest, distance, out=nearest)
        chosen[step] = nearest.argmax()
    return chosen


def _select(vectors: Tensor, count: int, start: int) -> Tensor:
    everyone = _Points.of(vectors)
    chosen = _Chosen(everyone, vectors, count)
    chosen.add(start)
    everyone.catch_up(chosen)
    shortlist = everyone.farthest(SHORTLIST)
    while len(chosen) < count:
        shortlist.catch_up(chosen)
        if not shortlist.decides():
            everyone.catch_up(chosen)
            shortlist = everyone.farthest(SHORTLIST)
        contest = shortlist if shortlist.decides() else everyone
        winner = chosen.settle(contest, contest.candidates())
        if winner is None:
            break
        contest.upper[winner] = 0
        chosen.add(int(contest.index[winner]))
        if chosen.measured > len(vectors) * count // 16:
            return plain_k_center(vectors, count, start)
    return chosen.index


def _roundoff(channels: int) -> float:
    return (4.1 * channels + 32) * 2.0**-24


class _Points:
    """Some of the points, with an upper bound on the squared distance of each to its nearest center.

    Attributes:
        rows: [M, C], relative to the mean of all points.
        squares: [M] their squared norms.
        index: [M] which points they are.
        upper: [M] the bounds, after the first `seen` centers.
        floor: no point that is missing here has a larger bound.
        sure: the farthest point has at least this distance.
    """

    def __init__(self, rows: Tensor, squares: Tensor, index: Tensor, upper: Tensor, seen: int, floor: float) -> None:
        self.rows, self.squares, self.index = rows, squares, index
        self.upper, self.seen, self.floor = upper, seen, floor
        self.roundoff, self.sure = _roundoff(rows.shape[1]), -math.inf

    @classmethod
    def of(cls, vectors: Tensor) -> _Points:
        import torch

        rows = vectors - vectors.mean(0)
        index = torch.arange(len(rows))
        return cls(rows, rows.norm(dim=1).square_(), index, torch.full((len(rows),), math.inf), 0, -math.inf)

    def catch_up(self, chosen: _Chosen) -> None:
        """Lower the bounds by the centers that were added since the last time."""
        import torch

        centers, squares = chosen.rows[self.seen : len(chosen)], chosen.squares[self.seen : len(chosen)]
        self.seen = len(chosen)
        if not len(centers):
            return
        width = max(1024, PRODUCT // len(centers))
        parts = (torch.split(whole, width) for whole in (self.rows, self.squares, self.upper))
        for rows, own, upper in zip(*parts, strict=True):
            nearest = torch.addmm(squares[:, None], centers, rows.T, alpha=-2).amin(0).add_(own)
            nearest.mul_(1 + 2 * self.roundoff).add_(own, alpha=3 * self.roundoff)
            torch.minimum(upper, nearest, out=upper)
        lower = self.upper.mul(1 - 4 * self.roundoff).sub_(self.squares, alpha=6 * self.roundoff)
        self.sure = float(lower.max())

    def farthest(self, size: int) -> _Points:
        """The `size` points with the largest bounds; `floor` is the largest bound of the rest."""
        if size >= len(self.rows):
            return self
        top = self.upper.topk(size + 1)
        keep = top.indices[:-1]
        floor = float(top.values[-1])
        some = _Points(self.rows[keep], self.squares[keep], self.index[keep], top.values[:-1], self.seen, floor)
        some.sure = self.sure
        return some

    def decides(self) -> bool:
        """Whether no missing point can be the farthest, nor as far as the farthest."""
        return self.sure > self.floor

    def candidates(self) -> Tensor:
        """Positions of all points that may be the farthest."""
        return (self.upper >= self.sure).nonzero().squeeze(1)


class _Chosen:
    """The centers, their rows packed together for matrix products; `measured` counts direct distances."""

    def __init__(self, everyone: _Points, vectors: Tensor, count: int) -> None:
        self.everyone, self.vectors = everyone, vectors
        self.index = vectors.new_zeros(count, dtype=everyone.index.dtype)
        self.rows = vectors.new_empty(count, vectors.shape[1])
        self.squares = vectors.new_empty(count)
        self.count = 0
        self.measured = 0

    def __len__(self) -> int:
        return self.count

    def add(self, index: int) -> None:
        self.index[self.count] = index
        self.rows[self.count] = self.everyone.rows[index]
        self.squares[self.count] = self.everyone.squares[index]
        self.everyone.upper[index] = 0
        self.count += 1

    def settle(self, points: _Points, candidates: Tensor) -> int | None:
        """The position of the farthest candidate, the lowest index among equals; None where it is a center's twin."""
        import torch

        if len(candidates) == 1:
            return int(candidates[0])
        block = max(1, DIFFERENCES // (self.count * self.rows.shape[1]))
        exact = torch.cat([self.exact(points, some) for some in torch.split(candidates, block)])
        farthest = exact.max()
        equals = candidates[exact == farthest]
        return int(equals[points.index[equals].argmin()]) if farthest > 0 else None

    def exact(self, points: _Points, some: Tensor) -> Tensor:
        """Squared distances of `some` points to their nearest centers, in the arithmetic of `plain_k_center`.

        Only centers that may be the nearest are measured.
        """
        import torch

        slack = 1 - points.roundoff
        lower = torch.addmm(self.squares[: self.count] * slack, points.rows[some], self.rows[: self.count].T, alpha=-2)
        lower += points.squares[some, None] * slack
        point, center = (lower <= points.upper[some, None]).nonzero(as_tuple=True)
        self.measured += len(point)
        difference = self.vectors[points.index[some[point]]] - self.vectors[self.index[center]]
        distance = difference.mul_(difference).sum(1)
        return torch.full((len(some),), math.inf).scatter_reduce(0, point, distance, "amin")
