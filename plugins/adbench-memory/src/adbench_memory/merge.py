"""A coreset of more vectors than fit into memory: merge and reduce.

Vectors are gathered until the memory is full. Then the latest are reduced to a few of them by greedy k-center, and
gathering goes on in the room that this gave. When the sets of reduced vectors fill the memory, they are reduced
together, and so on: a tree of reductions (Bentley and Saxe, "Decomposable searching problems" (1980); for streams Guha,
Meyerson, Mishra, Motwani and O'Callaghan, "Clustering data streams: theory and practice" (2003)). The coreset is
selected from what is in memory in the end.

*Guarantee.* Let r be the smallest radius with which any k points cover all the others; the exact greedy reaches at most
2 r (Gonzalez 1985). A reduction keeps at least k of some of the points, so that no dropped one is farther than 2 r from
a kept one: else k + 1 points were pairwise farther apart than 2 r, and one center cannot cover two of them. Distances
along the tree add up: with L reductions between a point and the coreset, the selection included, the coreset's radius
is at most 2 L r, and so at most 2 L times that of the exact greedy. L is 1 where everything fits, which is the exact
greedy itself, and 2 up to about M² / (2 k) vectors with room for M; two rounds have the factor 4 of Malkomes, Kusner,
Chen, Weinberger and Moseley, "Fast distributed k-center clustering with outliers on massive data" (NIPS 2015).
`Merged.radius` bounds the radius that was reached in fact: it adds up the radii of the reductions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench import UsageError
from adbench_memory.kcenter import Selection, distinct
from adbench_memory.room import GB

if TYPE_CHECKING:
    from torch import Tensor

    Select = Callable[[Tensor, int], Selection]

LEAST = 4
"""Room for so many times the coreset: below three times nothing would be gained by a reduction."""

SCRATCH, DEVICE_SCRATCH, SCRATCH_ROWS = 24 << 20, 2 << 30, 16_384
"""Bytes on a CPU and elsewhere, and vectors, for what a selection needs however many vectors there are."""

PER_VECTOR = 64
"""Bytes of distances, counts and indices that a selection keeps for each vector."""


@dataclass(frozen=True)
class Budget:
    """Memory for vectors of one length, and for selecting from them.

    Beside each vector that is its projection, if there is one, the eighth of what it is selected on for a sketch, and a
    quarter for the coreset, which is at most a quarter of what is held.

    Attributes:
        channels: the length of the vectors.
        projected: that of their projections, or 0.
        device: where they are.
    """

    channels: int
    projected: int = 0
    device: str = "cpu"

    def vectors(self, gigabytes: float) -> int:
        """How many there is room for."""
        return max(0, int((gigabytes * GB - self._fixed) / self._each))

    def gigabytes(self, vectors: int) -> float:
        """What so many need."""
        return (vectors * self._each + self._fixed) / GB

    @property
    def _each(self) -> float:
        sketch = (self.projected or self.channels) / 8
        return 4 * (self.channels * (1 + 1 / LEAST) + self.projected + sketch) + PER_VECTOR

    @property
    def _fixed(self) -> int:
        blocks = SCRATCH if self.device == "cpu" else DEVICE_SCRATCH
        return blocks + 4 * SCRATCH_ROWS * self.channels


@dataclass(frozen=True)
class _Set:
    """Vectors that lie together in the pool.

    Attributes:
        size: how many.
        level: reductions that they have been through.
        radius: no vector that they stand for is farther than this from the nearest of them.
    """

    size: int
    level: int = 0
    radius: float = 0.0


@dataclass(frozen=True)
class Merged:
    """A coreset of all vectors that came by.

    Attributes:
        vectors: [K, C].
        owners: [K] the numbers of their images.
        rounds: reductions, the last selection included: L in the guarantee.
        radius: no vector is farther than this from the nearest of them, on what they were selected on.
    """

    vectors: Tensor
    owners: Tensor
    rounds: int
    radius: float


class Pool:
    """Vectors in a bounded room.

    Args:
        capacity: vectors that there is room for.
        channels: their length.
        expected: vectors that will come by.
        count: how many will be selected of them, at most a quarter of the capacity where it is below what is expected.
        select: greedy k-center: vectors [M, C] and a count to a selection.
        device: where they are.

    Attributes:
        seen: vectors that came by.
        sets: what is held, in the order of the rows.
    """

    def __init__(self, capacity: int, channels: int, expected: int, count: int, select: Select, device: str) -> None:
        import torch

        self.vectors = torch.empty(capacity, channels, device=device)
        self.owners = torch.empty(capacity, dtype=torch.int64, device=device)
        self.seen, self.sets = 0, list[_Set]()
        self._select = select
        self._keep = max(count, min(capacity // LEAST, capacity**2 // (2 * expected)))  # two rounds, if they suffice

    @property
    def filled(self) -> int:
        return sum(one.size for one in self.sets)

    def add(self, rows: Tensor, owners: Tensor) -> None:
        """Take in vectors [M, C] and the numbers of their images [M]."""
        while len(rows):
            if self.filled == len(self.vectors):
                self._reduce()
            start = self.filled
            some = min(len(rows), len(self.vectors) - start)
            self.vectors[start : start + some] = rows[:some]
            self.owners[start : start + some] = owners[:some]
            self._gathered(some)
            rows, owners = rows[some:], owners[some:]

    def coreset(self, count: int) -> Merged:
        """So many of all vectors.

        Raises:
            UsageError: reductions have left fewer.
        """
        self._make_sure(count <= self.filled)
        selection = self._select(self.vectors[: self.filled], count)
        index = distinct(selection.index)
        rounds, radius = 1 + max(one.level for one in self.sets), max(one.radius for one in self.sets)
        return Merged(self.vectors[index], self.owners[index], rounds, radius + selection.radius)

    def _gathered(self, some: int) -> None:
        """Count vectors that have just come as one set with those gathered before."""
        before = self.sets.pop().size if self.sets and self.sets[-1].level == 0 else 0
        self.sets.append(_Set(before + some))
        self.seen += some

    def _reduce(self) -> None:
        """Reduce the latest sets: those of the lowest level, and of as many levels as it takes to halve them."""
        self._make_sure(2 * self._keep <= self.filled)
        first, size = len(self.sets), 0
        while size < 2 * self._keep:
            level = self.sets[first - 1].level
            while first and self.sets[first - 1].level == level:
                first -= 1
                size += self.sets[first].size
        tail = slice(self.filled - size, self.filled)
        selection = self._select(self.vectors[tail], self._keep)
        index = distinct(selection.index).sort().values
        start, stop = tail.start, tail.start + len(index)
        self.vectors[start:stop] = self.vectors[tail].index_select(0, index)
        self.owners[start:stop] = self.owners[tail][index]
        radius = max(one.radius for one in self.sets[first:]) + selection.radius
        self.sets[first:] = [_Set(len(index), self.sets[first].level + 1, radius)]

    def _make_sure(self, good: bool) -> None:
        if not good:
            raise UsageError(
                "streaming k-center: later images have more patches than the first ones, and there is no room to select"
                " so many of them; give the coreset a count instead of a fraction, or no memory"
            )
