"""Candidates for a nearest-neighbour search from matrix products in bfloat16, which some processors multiply faster.

Let q^ and v^ be a query and a row, rounded to bfloat16, whose roundoff is u = 2^-8. By the triangle inequality,
|q^ - v^| differs from the distance d = |q - v| by at most e = u |q| + |v - v^|. A squared distance is then off by about
2 d e, where a bound on the product of q and v alone would be some u |q| |v|.

One matrix product gives |q^ - v^|² whole: the squared lengths of both, each as the sum of two bfloat16, are channels
beside the others. Products of bfloat16 are exact in float32. Summing K of them, and the last digits of the squared
lengths, cost at most a = ((5 K + 8) 2^-24 + 2^-16) (|q|² + |v|²). The result r is rounded to bfloat16, by at most u of
itself.

So the k-th nearest row is at most U = sqrt(r (1 + u) + a) + e away, where r is the k-th smallest result. Every row
whose result lets it be as near as that is a candidate, and its distance is measured. The others are certain to be
farther.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.search.candidates import Block
    from adbench.api.search.owners import Excluded

UNIT = 2.0**-8
"""The roundoff of bfloat16, which has 8 digits."""
ROUNDED = 1 + 1.02 * UNIT
"""The factor between a number and its bfloat16, at most, in either direction."""
SLACK = 1 + 2.0**-10
"""What covers the roundoff of float32, which is 2^-24, in the bounds themselves."""
STEP = 32  # channels that are multiplied together
GROUP, WIDE = 16, 1024  # rows whose nearest is looked at first, in blocks that are so wide
QUERIES, PRODUCTS = 1024, 1 << 22  # that are held at once: packing a block of rows is worth it for many queries
FAR = 2.0**100  # from every query to the rows that fill the last group, squared
# The code of a number is what its bfloat16 is as an int16: of positive numbers the order is the same, and negative ones
# have negative codes
CODE_OF_FAR, INFINITE, NONE = (127 + 100) << 7, 255 << 7, -(1 << 15)
REACH, LONGEST_QUERY = (2.0**-30, 2.0**30), 2.0**40
"""The least and the most that the longest row may be long, and a query: no square vanishes, or reaches `FAR`."""


@cache
def products_are_fast() -> bool:
    """Whether this processor multiplies matrices of bfloat16 in tiles (AMX), and sums in float32 as it should."""
    import torch

    supported = getattr(torch.cpu, "_is_amx_tile_supported", bool)
    present: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return present and supported() and sums_are_float32()


def sums_are_float32() -> bool:
    """Whether products of bfloat16 keep the small terms between two large ones that cancel."""
    import torch

    rows = torch.ones(4 * STEP, 4 * STEP, dtype=torch.bfloat16)
    rows[0], rows[-1] = 2.0**12, -(2.0**12)
    return bool((torch.mm(torch.ones_like(rows), rows) == len(rows) - 2).all())


class Candidates(NamedTuple):
    """The candidates of queries, as pairs in any order.

    Attributes:
        query: [P].
        row: [P].
        certain: [Q] whether the k nearest rows of a query are among its candidates; the others have none.
    """

    query: np.ndarray
    row: np.ndarray
    certain: np.ndarray

    def nearest(self, distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances and rows [certain queries, k], nearest first, the lower row among equals.

        Args:
            distances: [P] of the pairs.
            k: how many.
        """
        import numpy as np

        order = np.lexsort((self.row, distances, self.query))
        counts = np.bincount(self.query, minlength=len(self.certain))[self.certain]
        places = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
        return distances[places], self.row[places]


class BfloatRows:
    """Rows in bfloat16, ready to be multiplied.

    Args:
        blocks: gives all rows, in order, each time it is called.
        channels: of a row.
        reach: the length of the longest row.
    """

    LEAST_ROWS, LEAST_CHANNELS, LEAST_QUERIES = 256, 32, 128
    """With fewer, a product in float32 takes no longer than the steps around this one."""
    MOST_GROUPS, PER_ROWS, MOST_TIMES = 32, 8192, 16
    """Groups with a candidate that a query may have among 8,192 rows; with more, a product in float32 is faster.

    That product takes as much longer as there are more rows, and so many more groups are worth it: up to 16 times.
    """
    MOST_NEIGHBOURS = 4

    def __init__(self, blocks: Callable[[], Iterator[Block]], channels: int, reach: float) -> None:
        import torch

        self._channels, self._reach = channels, reach
        self._width = -(-(channels + 4) // STEP) * STEP
        self._moved = 0.0  # at most, when a row was rounded
        self._blocks: list[tuple[Tensor, Tensor]] = []
        for block in blocks():
            filled = -(-len(block.rows) // (2 * GROUP)) * (2 * GROUP)
            rows = torch.zeros(filled, self._width, dtype=torch.bfloat16)
            rows[len(block.rows) :, channels] = FAR
            given = rows[: len(block.rows)]
            given[:, :channels] = block.rows
            self._moved = max(self._moved, float((block.rows - given[:, :channels]).norm(dim=1).max()))
            given[:, channels], given[:, channels + 1] = _in_two(_squares(given[:, :channels]))
            given[:, :channels] *= -2
            rows[:, channels + 2 : channels + 4] = 1
            self._blocks.append((rows.T.contiguous(), block.index))
        self._is_wide = self._blocks[0][0].shape[1] >= WIDE
        total = sum(len(index) for _, index in self._blocks)
        self._most_groups = self.MOST_GROUPS * max(1, min(self.MOST_TIMES, total // self.PER_ROWS))

    @classmethod
    def if_faster(
        cls, blocks: Callable[[], Iterator[Block]], shape: tuple[int, int], *, directions: bool
    ) -> BfloatRows | None:
        """None on a processor without fast products, for few rows or channels, and where a row is no finite number.

        Args:
            blocks: gives all rows, in order, each time it is called.
            shape: N and C.
            directions: whether rows are directions: then none may be zero, which has no direction.
        """
        total, channels = shape
        if total < cls.LEAST_ROWS or channels < cls.LEAST_CHANNELS or not products_are_fast():
            return None
        lengths = [block.rows.norm(dim=1) for block in blocks()]
        reach, least = (float(limit) for limit in (max(part.max() for part in lengths), min(p.min() for p in lengths)))
        if not REACH[0] <= reach <= REACH[1] or (directions and least == 0):  # NaN neither
            return None
        return cls(blocks, channels, reach)

    def are_enough(self, queries: int, k: int) -> bool:
        """Whether so many queries for k neighbours are worth it."""
        return queries >= self.LEAST_QUERIES and (k == 1 or (k <= self.MOST_NEIGHBOURS and self._is_wide))

    def are_poor(self, uncertain: int, queries: int) -> bool:
        """Whether so many of many queries had too many candidates that a search in float32 would have been faster."""
        return queries >= 4 * self.LEAST_QUERIES and 4 * uncertain > queries

    @property
    def together(self) -> int:
        """Queries whose numbers stay in a processor's cache from one step to the next."""
        return max(1, min(QUERIES, PRODUCTS // max(rows.shape[1] for rows, _ in self._blocks)))

    def candidates(self, query: Tensor, k: int, excluded: Excluded | None) -> Candidates:
        """The candidates of some queries.

        Args:
            query: [Q, C] float32, prepared as the rows were.
            k: how many neighbours are looked for.
            excluded: rows that a query must not find; they are no candidates.
        """
        import numpy as np
        import torch

        asked, lengths = self._asked(query)
        bound = _Bound.of(lengths, self._reach, self._moved, self._width)
        best = np.full((len(query), k), INFINITE, dtype=np.int16)
        limits, hits = bound.limits(best[:, -1]), np.zeros(len(query), dtype=np.int64)
        found: list[_Found] = []
        for rows, index in self._blocks:
            near = torch.mm(asked, rows)
            if excluded is not None:
                excluded.mask(near, index)
            groups = near.view(torch.int16).view(len(query), _group(k, near.shape[1]), -1)
            leaders = groups[:, 0] if groups.shape[1] == 1 else groups.amin(1)
            best = _smallest(best, leaders, k)
            limits = bound.limits(best[:, -1])
            limits[hits > self._most_groups] = NONE
            found.append(_within(groups.numpy(), leaders.numpy(), limits, int(index[0]), hits))
        certain = (hits <= self._most_groups) & (limits < CODE_OF_FAR) & (lengths <= LONGEST_QUERY)
        if len(found) == 1 and certain.all():
            return Candidates(found[0].query, found[0].row, certain)
        every = _Found(*(np.concatenate(part) for part in zip(*found, strict=True)))
        kept = certain[every.query] & (every.code <= limits[every.query])
        return Candidates(every.query[kept], every.row[kept], certain)

    def _asked(self, query: Tensor) -> tuple[Tensor, np.ndarray]:
        """Queries [Q, K] as they are multiplied, and their lengths [Q] when rounded."""
        import torch

        channels = self._channels
        asked = torch.zeros(len(query), self._width, dtype=torch.bfloat16)
        asked[:, :channels] = query
        squares = _squares(asked[:, :channels])
        asked[:, channels : channels + 2] = 1
        asked[:, channels + 2], asked[:, channels + 3] = _in_two(squares)
        return asked, squares.sqrt().numpy()


@dataclass(frozen=True)
class _Bound:
    """How far results may be off, for each query [Q].

    Attributes:
        rounding: e, of a distance by the rounding of its ends.
        summing: a, of a squared distance by sums.
        measuring: the factor of a distance within which another may be measured to be as near.
    """

    rounding: np.ndarray
    summing: np.ndarray
    measuring: float

    @classmethod
    def of(cls, lengths: np.ndarray, reach: float, moved: float, width: int) -> _Bound:
        """From the lengths of queries [Q], the longest row, how far a row was moved, and the channels of a product."""
        import numpy as np

        rounding = UNIT * (1 + 2 * UNIT) * lengths + moved + (SLACK - 1) * UNIT * (lengths + reach)
        summing = ((5 * width + 8) * 2.0**-24 + 2.0**-16) * SLACK * (np.square(lengths) + reach**2)
        return cls(rounding, summing, measuring=1 + (width + 8) * 2.0**-22)

    def limits(self, code: np.ndarray) -> np.ndarray:
        """[Q] the code up to which a row is a candidate, where the k-th smallest result has this code [Q]."""
        import numpy as np

        result = np.maximum(np.left_shift(code.astype(np.int32), 16).view(np.float32), 0)
        farthest = np.sqrt(result * ROUNDED + self.summing) + self.rounding
        limit = (np.square(farthest * self.measuring + self.rounding) + self.summing) * ROUNDED
        above: np.ndarray = (np.right_shift(limit.view(np.int32), 16) + 1).astype(np.int16)
        return above


class _Found(NamedTuple):
    """Candidates [P]: the query, the row, and the code of the result."""

    query: np.ndarray
    row: np.ndarray
    code: np.ndarray


def _within(groups: np.ndarray, leaders: np.ndarray, limits: np.ndarray, first: int, hits: np.ndarray) -> _Found:
    """The rows of a block that are within the limits; adds the groups in which they are to `hits` [Q].

    Args:
        groups: codes of all results [Q, G, M], the rows of a group M apart.
        leaders: the smallest of each group [Q, M].
        limits: codes [Q].
        first: the block's first row.
        hits: groups so far [Q].
    """
    import numpy as np

    size, count = groups.shape[1:]
    query, group = np.divmod(np.flatnonzero(leaders <= limits[:, None]), count)
    hits += np.bincount(query, minlength=len(hits))
    if size == 1:
        return _Found(query, first + group, leaders[query, group])
    codes = groups[query, :, group]
    pair, member = np.divmod(np.flatnonzero(codes <= limits[query, None]), size)
    return _Found(query[pair], first + member * count + group[pair], codes[pair, member])


def _group(k: int, rows: int) -> int:
    """How many rows of a block are looked at together: none of few, where one neighbour is looked for."""
    return GROUP if k > 1 or rows >= WIDE else 1


def _smallest(best: np.ndarray, leaders: Tensor, k: int) -> np.ndarray:
    """The k smallest of both [Q, k], ascending."""
    import numpy as np

    smallest = leaders.amin(1, keepdim=True) if k == 1 else leaders.topk(min(k, leaders.shape[1]), largest=False).values
    both: np.ndarray = np.sort(np.concatenate([best, smallest.numpy()], axis=1), axis=1)
    return both[:, :k]


def _squares(rows: Tensor) -> Tensor:
    """[N] float32: the squared lengths of rows in bfloat16."""
    import torch

    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float32)
    return lengths.square()


def _in_two(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Two bfloat16 whose sum is a number up to 2^-16 of it."""
    high = numbers.bfloat16()
    return high, (numbers - high.float()).bfloat16()
