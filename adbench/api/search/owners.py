"""The owners of vectors, and the vectors that a query must not find."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from adbench.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NO_OWNER = -1


class Owners:
    """The owner of each vector, as a number.

    Args:
        owners: N ids.
        device: of the vectors.

    Attributes:
        of_vector: [N] number of each vector's owner.
    """

    def __init__(self, owners: Sequence[str], device: torch.device) -> None:
        import torch

        self._numbers: dict[str, int] = {}
        numbers = [self._numbers.setdefault(owner, len(self._numbers)) for owner in owners]
        self.of_vector = torch.tensor(numbers, dtype=torch.int64, device=device)
        self._order = self.of_vector.argsort(stable=True)
        self.counts: list[int] = torch.bincount(self.of_vector, minlength=len(self._numbers)).tolist()
        self._ends: list[int] = torch.tensor(self.counts, dtype=torch.int64).cumsum(0).tolist()

    def numbers(self, ids: Sequence[str]) -> Tensor:
        """[Q] the numbers of these owners; `NO_OWNER` for those of no vector."""
        import torch

        found = [self._numbers.get(one, NO_OWNER) for one in ids]
        return torch.tensor(found, dtype=torch.int64, device=self.of_vector.device)

    def rows(self, number: int) -> Tensor:
        """[M] ascending: the vectors of an owner."""
        end = self._ends[number]
        return self._order[end - self.counts[number] : end]


class Excluded:
    """For each query the owner whose vectors it must not find.

    Args:
        owners: of the vectors.
        numbers: [Q]; equal ones together cost least.
    """

    def __init__(self, owners: Owners, numbers: Tensor) -> None:
        self.owners, self.numbers = owners, numbers

    def __getitem__(self, index: Tensor | slice) -> Excluded:
        """The exclusions of some of the queries."""
        return Excluded(self.owners, self.numbers[index])

    @cached_property
    def runs(self) -> list[tuple[int, slice]]:
        """Owners, `NO_OWNER` among them, each with the successive queries that must not find its vectors."""
        import torch

        numbers, counts = torch.unique_consecutive(self.numbers, return_counts=True)
        ends = counts.cumsum(0).tolist()
        each = zip(numbers.tolist(), counts.tolist(), ends, strict=True)
        return [(number, slice(end - count, end)) for number, count, end in each]

    @property
    def groups(self) -> list[tuple[int, slice]]:
        """The runs of owners that have vectors."""
        return [run for run in self.runs if run[0] != NO_OWNER]

    def largest(self) -> int:
        """The largest number of vectors that are excluded from one query."""
        return max((self.owners.counts[number] for number, _ in self.groups), default=0)

    def mask(self, near: Tensor, index: Tensor) -> None:
        """Set values [Q, M] of vectors with the successive indices `index` [M] to infinity where they are excluded."""
        first = int(index[0])
        for number, queries in self.groups:
            rows = self.owners.rows(number)
            start, end = (int(place) for place in _between(rows, first, first + len(index)))
            if start < end:
                near[queries].index_fill_(1, rows[start:end] - first, float("inf"))

    def among(self, candidates: Tensor) -> Tensor:
        """[Q, K] bool: whether a candidate is excluded."""
        return self.owners.of_vector[candidates] == self.numbers[:, None]


def _between(rows: Tensor, first: int, last: int) -> Tensor:
    """The places at which ascending rows reach `first` and `last`."""
    import torch

    return torch.searchsorted(rows, torch.tensor([first, last], device=rows.device))


def check_count(k: int, available: int) -> None:
    """Refuse to search for more vectors than there are.

    Raises:
        UsageError: k is below 1 or above what is available.
    """
    if not 1 <= k <= available:
        raise UsageError(f"cannot find {k} neighbours among {available} vectors; ask for 1 to {available}")
