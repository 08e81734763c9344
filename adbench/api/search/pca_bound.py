"""Candidates for a nearest-neighbour search among vectors that lie near few dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.search.candidates import QUERIES, Block, bounded_shortlist, in_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.search.owners import Excluded

STEP = 32  # axes are counted in such steps
UNIT = 2.0**-24  # roundoff of float32


class ProjectedRows:
    """Rows on the first few of their principal axes. What is cut off can only add to a distance.

    Features of many channels lie near far fewer dimensions: with those that hold 95 % of what the rows are, a handful
    of rows are left that could be the nearest, for a fraction of the products. (The bound is that of the
    Karhunen-Loeve transform in similarity search: Korn et al., VLDB 1996.)

    Rounding moves a projection by at most e = sqrt(A) (C + 2) 2^-24 of the vector's length, A axes of C channels, and
    a squared distance between projections by (2 A + 4) 2^-24 of the squared lengths.

    Args:
        rows: [N, A].
        center: [C], where the axes meet.
        axes: [C, A].
        reach: the largest length of a row, from the center, before it was cut.
        height: rows that are multiplied together.

    Attributes:
        rows, reach: as given.
        offsets: [N] their squared lengths.
    """

    SHARE = 0.95
    """Of the variance; with less, more rows could be the nearest than are measured."""
    LEAST_ROWS, LEAST_CHANNELS = 1 << 14, 256
    SPARE, MANY = (60, 12), (1000, 500)
    """How many candidates there are bound those looked for, and how many of them 4,096 rows may have."""

    def __init__(self, rows: Tensor, center: Tensor, axes: Tensor, reach: float, height: int) -> None:
        self.rows, self._center, self._axes, self.reach, self._height = rows, center, axes, reach, height
        self.offsets = rows.square().sum(1)

    @classmethod
    def if_faster(
        cls, blocks: Callable[[], Iterator[Block]], shape: tuple[int, int], height: int
    ) -> ProjectedRows | None:
        """None for few rows or channels, and where the rows need more than a third of the axes.

        Args:
            blocks: gives all rows, in order, each time it is called.
            shape: N and C.
            height: rows that are multiplied together.
        """
        import torch

        total, channels = shape
        if total < cls.LEAST_ROWS or channels < cls.LEAST_CHANNELS:
            return None
        step = max(1, total // (4 * channels))
        center, axes = principal_axes(torch.cat([block.rows[::step] for block in blocks()]), cls.SHARE)
        count = axes.shape[1]
        if not 0 < 3 * count <= channels:
            return None
        rows = axes.new_empty(total, count)
        reach = 0.0
        for block in blocks():
            moved = block.rows - center
            rows[block.index] = moved @ axes
            reach = max(reach, float(moved.norm(dim=1).max()))
        return cls(rows, center, axes, reach, height)

    def shortlist(
        self, query: Tensor, k: int, spare: tuple[int, int] = SPARE, excluded: Excluded | None = None
    ) -> tuple[Tensor, Tensor]:
        """Candidates [Q, K], and the distance that every other row has at least [Q], those that are excluded apart.

        Args:
            query: [Q, C], prepared as the rows were.
            k: how many are looked for.
            spare: how many more there are, of all rows and of a block, if there are so many.
            excluded: rows that a query must not find; they may be among the candidates.
        """
        asked = self.projected(query)
        blocks = in_blocks(self.rows, self.offsets, self._height)
        found, bound = bounded_shortlist(-2 * asked.cut, blocks, k + spare[0], k + spare[1], QUERIES, excluded)
        return found, (bound + asked.cut.square().sum(1) - 2 * asked.rounded).clamp(min=0).sqrt() - asked.moved

    def projected(self, query: Tensor) -> ProjectedQueries:
        """Queries [Q, C], prepared as the rows were, on the same axes."""
        query = query - self._center
        lengths, (channels, count) = query.norm(dim=1), self._axes.shape
        moved = count**0.5 * (channels + 2) * UNIT * (lengths + self.reach)
        rounded = (2 * count + 4) * UNIT * (lengths.square() + self.reach**2)
        return ProjectedQueries(query @ self._axes, lengths, moved, rounded)


class ProjectedQueries(NamedTuple):
    """Queries on the axes of some rows.

    Attributes:
        cut: [Q, A].
        lengths: [Q] before they were cut.
        moved: [Q] by how much rounding may have moved a distance to a row.
        rounded: [Q] by how much the square of one may be off.
    """

    cut: Tensor
    lengths: Tensor
    moved: Tensor
    rounded: Tensor

    def some(self, index: Tensor) -> ProjectedQueries:
        """These of the queries."""
        return ProjectedQueries(*(part[index] for part in self))


def principal_axes(sample: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The mean [C] of rows [S, C], and their principal axes [C, A] that hold at least this share of their variance.

    There are none, A = 0, where a number is not finite.
    """
    import torch

    rows = sample.double()
    center = rows.mean(0)
    rows -= center
    scatter = rows.T @ rows
    if not scatter.isfinite().all():
        return center.float(), sample[:0].T.float()
    lengths, axes = (part.flip(-1) for part in torch.linalg.eigh(scatter))
    lacking = lengths.clamp(min=0).cumsum(0) < share * lengths.sum()
    count = STEP * (int(lacking.sum()) // STEP + 1)
    return center.float(), axes[:, :count].float().contiguous()
