"""Candidates for a nearest-neighbour search: the few rows that are nearest by a matrix product.

The product of a row v and a query q is offset(v) + scaled(q)·v, the part of the distance that depends on v: for l2
|v|² - 2 q·v, for cosine - q·v with unit vectors. Smaller is nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.search.owners import Excluded

QUERIES = 512  # that are multiplied together
PRODUCTS = 1 << 19  # that are made together where there are fewer rows than a block may have
ONE_BY_ONE = 2  # neighbours at most that are taken out one by one
GROUPS, LARGEST_GROUP = 256, 32
SPARE_HALVES = 32
HALF_ROUNDOFF = 2.0**-11


@dataclass(frozen=True)
class Block:
    """Some of the rows to search among.

    Attributes:
        rows: [M, C].
        offset: [M] what a row adds to its product with any query.
        index: [M] which rows they are.
    """

    rows: Tensor
    offset: Tensor
    index: Tensor


def in_blocks(rows: Tensor, offset: Tensor, height: int) -> Iterator[Block]:
    """All rows, `height` of them at a time."""
    import torch

    index = torch.arange(len(rows), device=rows.device)
    parts = (torch.split(whole, height) for whole in (rows, offset, index))
    return (Block(*part) for part in zip(*parts, strict=True))


def shortlist(
    scaled: Tensor, blocks: Iterable[Block], k: int, height: int, excluded: Excluded | None = None
) -> tuple[Tensor, Tensor]:
    """The k rows nearest to each query by the product, or all where there are fewer.

    Args:
        scaled: [Q, C] queries, as the product needs them.
        blocks: all rows.
        k: how many.
        height: queries that are multiplied together.
        excluded: rows that a query must not find: they count as infinitely far. Blocks are then of successive rows.

    Returns:
        How near they are [Q, k], the nearest first, and their indices [Q, k].
    """
    import torch

    near = scaled.new_empty(len(scaled), 0)
    found = torch.empty(len(scaled), 0, dtype=torch.int64, device=scaled.device)
    for number, block in enumerate(blocks):
        parts = [
            _nearest_in(scaled[some], block, min(k, len(block.rows)), excluded and excluded[some])
            for some in _parts(len(scaled), max(height, PRODUCTS // max(1, len(block.rows))))
        ]
        these, index = parts[0] if len(parts) == 1 else (torch.cat(part) for part in zip(*parts, strict=True))
        if number == 0:  # sorted
            near, found = these, index
            continue
        near, found = torch.cat([near, these], 1), torch.cat([found, index], 1)
        near, best = near.topk(min(k, near.shape[1]), largest=False)
        found = found.gather(1, best)
    return near, found


def _parts(count: int, height: int) -> list[slice]:
    """At least one, as `torch.split` gives."""
    return [slice(start, start + height) for start in range(0, max(1, count), height)]


def bounded_shortlist(
    scaled: Tensor, blocks: Iterable[Block], k: int, each: int, height: int, excluded: Excluded | None = None
) -> tuple[Tensor, Tensor]:
    """A shortlist with at most `each` rows of a block, and a bound on the rows that were left out.

    Returns:
        Indices [Q, k], and a value that no other row is nearer than, by the product [Q].
    """
    import torch

    near, bound = scaled.new_empty(len(scaled), 0), scaled.new_full((len(scaled),), float("inf"))
    found = torch.empty(len(scaled), 0, dtype=torch.int64, device=scaled.device)
    for block in blocks:
        some, index = shortlist(scaled, [block], each + 1, height, excluded)
        near, found = torch.cat([near, some[:, :each]], 1), torch.cat([found, index[:, :each]], 1)
        near, best = near.topk(min(k + 1, near.shape[1]), largest=False)
        bound = torch.cat([bound[:, None], some[:, each:], near[:, k:]], 1).amin(1)
        near, found = near[:, :k], found.gather(1, best[:, :k])
    return found, bound


def _nearest_in(scaled: Tensor, block: Block, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
    """The k nearest rows of one block.

    Many are among the k groups whose best are the best. Selecting from these takes a fraction of the time of selecting
    from all products, if they are few of the groups. One or two are taken out one by one.
    """
    import torch

    near = torch.addmm(block.offset, scaled, block.rows.T)
    if excluded is not None:
        excluded.mask(near, block.index)
    if k <= ONE_BY_ONE and excluded is None and near.device.type == "cpu" and near.dtype == torch.float32:
        values, place = _smallest(near, k)
        return values, block.index[place]
    size = max(1, min(LARGEST_GROUP, near.shape[1] // GROUPS))
    groups = near.shape[1] // size
    if size == 1 or groups <= 8 * k:
        values, place = near.topk(k, largest=False)
        return values, block.index[place]
    grouped = groups * size
    leaders = near[:, :grouped].view(len(near), size, groups).amin(1).topk(k, largest=False).indices
    members = groups * torch.arange(size, device=near.device)
    rest = torch.arange(grouped, near.shape[1], device=near.device).expand(len(near), -1)
    places = torch.cat([(leaders[:, :, None] + members).flatten(1), rest], 1)
    values, best = near.gather(1, places).topk(k, largest=False)
    return values, block.index[places.gather(1, best)]


def _smallest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest values of each row and their places [Q, k], smallest first; overwrites them.

    NumPy finds the place of a minimum in a tenth of the time that torch takes.
    """
    import numpy as np
    import torch

    array, rows = values.numpy(), np.arange(len(values))
    found, places = np.empty((len(array), k), np.float32), np.empty((len(array), k), np.int64)
    for rank in range(k):
        if rank:
            array[rows, places[:, rank - 1]] = np.inf
        array.argmin(1, out=places[:, rank])
        found[:, rank] = array[rows, places[:, rank]]
    return torch.from_numpy(found), torch.from_numpy(places)


def halves_are_faster(vectors: Tensor) -> bool:
    """Whether products in half precision find the candidates: on a GPU they are so much faster."""
    return vectors.is_cuda and len(vectors) > 0


class HalfRows:
    """Rows in half precision, with a bound on the error of their products.

    Rows are scaled to norms of at most 1. With unit roundoff u = 2^-11, rounding both factors moves a product by at
    most 2 u |scaled|, rounding the row's offset and the result by 2 u offset + u |scaled|; sums are in float32, or
    combined in half precision where a library splits them. `uncertain` takes 4 u (|scaled| + offset) for all of it.

    Args:
        blocks: gives all rows, in order, each time it is called.
        height: rows that are multiplied together.
    """

    def __init__(self, blocks: Callable[[], Iterator[Block]], height: int) -> None:
        import torch

        self._height = height
        self._scale = 1 / max(1e-30, *(float(block.rows.norm(dim=1).max()) for block in blocks()))
        self._rows = torch.cat([(block.rows * self._scale).half() for block in blocks()])
        self._offsets = torch.cat([(block.offset * self._scale**2).half() for block in blocks()])
        self._largest_offset = float(self._offsets.max())

    def shortlist(self, scaled: Tensor, k: int, excluded: Excluded | None = None) -> tuple[Tensor, Tensor]:
        """Candidates [Q, k + 32], and a value that no other row is nearer than, by the product of halves [Q]."""
        halves = (scaled * self._scale).half()
        blocks = in_blocks(self._rows, self._offsets, self._height)
        near, found = shortlist(halves, blocks, k + SPARE_HALVES, max(1, (1 << 28) // self._height), excluded)
        everything = near.shape[1] == len(self._rows)
        return found, near[:, -1].float().fill_(float("inf")) if everything else near[:, -1].float()

    def uncertain(self, scaled: Tensor, near: Tensor, bound: Tensor) -> Tensor:
        """[Q] whether a row that is no candidate may be as near as `near` [Q], the k-th candidate's true value."""
        error = 4 * HALF_ROUNDOFF * ((scaled * self._scale).norm(dim=1) + self._largest_offset)
        certain: Tensor = near * self._scale**2 + error < bound  # not of what overflowed to infinity or NaN
        return ~certain
