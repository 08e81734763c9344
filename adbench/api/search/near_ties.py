"""The nearest of vectors that are equally near, or so nearly that a float32 product cannot tell them apart.

This search is exact and slow. It serves the few queries that the fast searches leave uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench.api.search.candidates import QUERIES, Block, shortlist

if TYPE_CHECKING:
    from torch import Tensor

    Measure = Callable[[Tensor, Tensor], Tensor]

PAIRS = 1 << 22  # of a query and a row that are held at once


@dataclass(frozen=True)
class EqualVectors:
    """Groups of identical vectors.

    Attributes:
        order: [N] all vectors, equal ones together and in order of index.
        group: [N] of each in that order, the number of its group: 0, 0, 1, 2, 2, ...
    """

    order: Tensor
    group: Tensor

    @classmethod
    def of(cls, vectors: Tensor, height: int) -> EqualVectors:
        """Compare vectors [N, C] by a hash of their content; those of one hash number for number.

        Args:
            vectors: the vectors.
            height: how many are hashed together.
        """
        import torch

        draw = torch.Generator().manual_seed(0)
        odd = torch.randint(-(1 << 62), 1 << 62, (vectors.shape[1],), generator=draw).mul_(2).add_(1)
        odd = odd.to(vectors.device)
        hashes = [((_plain(some).view(torch.int32).long() + 1) * odd).sum(1) for some in torch.split(vectors, height)]
        values, order = torch.cat(hashes).sort(stable=True)
        new = torch.ones_like(values, dtype=torch.bool)
        new[1:] = values[1:] != values[:-1]
        for start in range(1, len(order), height):  # different vectors with one hash are separated
            here, before = (vectors[order[start - back : start - back + height]] for back in (0, 1))
            new[start : start + height] |= (here != before[: len(here)]).any(1)
        return cls(order, new.long().cumsum(0) - 1)

    def first(self, k: int, allowed: Tensor | None) -> Tensor:
        """Ascending: the first k of each group among the vectors that are allowed [N], or among all."""
        import torch

        order, group = self.order, self.group
        if allowed is not None:
            order, group = order[allowed[order]], group[allowed[order]]
        rank = group.new_ones(len(group)).cumsum(0) - 1
        _, counts = torch.unique_consecutive(group, return_counts=True)
        start = (counts.cumsum(0) - counts).repeat_interleave(counts)
        return order[rank - start < k].sort().values


def _plain(some: Tensor) -> Tensor:
    """Contiguous float32 without a negative zero."""
    return some.float().add(0.0).contiguous()


def nearest_of_ties(
    scaled: Tensor,
    offset: Tensor,
    error_bound: ErrorBound,
    blocks: Callable[[], Iterator[Block]],
    k: int,
    measure: Measure,
) -> tuple[Tensor, Tensor]:
    """The k nearest rows of each query, by distances that are measured; the lower index among equals.

    Args:
        scaled: [Q, C] float64 queries, as the product needs them.
        offset: [Q] float64, which makes a squared distance of a product when it is added.
        error_bound: of a distance that was measured.
        blocks: gives all rows that may be found, float64 and in order, each time it is called.
        k: how many; at most the rows.
        measure: distances [P] float32 of queries and rows that are given as indices [P] each.
    """
    import torch

    product = (2 * scaled.shape[1] + 8) * 2.0**-52  # the relative error of a product
    near, _ = shortlist(scaled, _scaled(blocks(), 1 + product), k, QUERIES)
    limit = error_bound.limit(near[:, -1] + offset * (1 + product)) - offset * (1 - product)
    every = torch.arange(len(scaled), device=scaled.device)
    lower = [
        _of_close(scaled[some], limit[some], some, _scaled(blocks(), 1 - product), k, measure)
        for some in torch.split(every, QUERIES)
    ]
    return torch.cat([distance for distance, _ in lower]), torch.cat([row for _, row in lower])


def _scaled(blocks: Iterator[Block], by: float) -> Iterator[Block]:
    """Blocks with scaled offsets, which give upper or lower bounds of squared distances."""
    return (Block(block.rows, block.offset * by, block.index) for block in blocks)


@dataclass(frozen=True)
class ErrorBound:
    """The error bound of a distance in float32.

    Attributes:
        relative: as a fraction of it.
        absolute: the same where vectors are brought to unit length, each by itself.
    """

    relative: float
    absolute: float

    def limit(self, squared: Tensor) -> Tensor:
        """[Q] the squared distance of a row that might be measured to be as near as one of a squared distance [Q]."""
        return (squared.clamp(min=0).sqrt() * (1 + 2.1 * self.relative) + 2.1 * self.absolute).square()


def _of_close(
    scaled: Tensor, limit: Tensor, queries: Tensor, blocks: Iterator[Block], k: int, measure: Measure
) -> tuple[Tensor, Tensor]:
    """Distances [Q, k] and rows [Q, k] of those whose products are within a limit [Q]."""
    import torch

    found = _Pairs.none(limit)
    for block in blocks:
        far = torch.addmm(block.offset, scaled, block.rows.T) > limit[:, None]
        query, place = (~far).nonzero(as_tuple=True)  # NaN too
        row = block.index[place]
        found = found.joined(_Pairs(query, row, measure(queries[query], row)))
        if len(found.row) > PAIRS:
            found = found.best(k)
    found = found.best(k)
    return found.distance.reshape(len(scaled), k), found.row.reshape(len(scaled), k)


@dataclass(frozen=True)
class _Pairs:
    """Queries, rows and distances [P] between them, of equals the lower row first."""

    query: Tensor
    row: Tensor
    distance: Tensor

    @classmethod
    def none(cls, like: Tensor) -> _Pairs:
        import torch

        nothing = torch.empty(0, dtype=torch.int64, device=like.device)
        return cls(nothing, nothing, like.new_empty(0).float())

    def joined(self, other: _Pairs) -> _Pairs:
        import torch

        parts = ((self.query, other.query), (self.row, other.row), (self.distance, other.distance))
        return _Pairs(*(torch.cat(both) for both in parts))

    def best(self, k: int) -> _Pairs:
        """At most k of each query, in order."""
        import torch

        order = self.distance.sort(stable=True).indices
        order = order[self.query[order].sort(stable=True).indices]
        _, counts = torch.unique_consecutive(self.query[order], return_counts=True)
        start = (counts.cumsum(0) - counts).repeat_interleave(counts)
        kept = order[(start.new_ones(len(order)).cumsum(0) - 1) - start < k]
        return _Pairs(self.query[kept], self.row[kept], self.distance[kept])
