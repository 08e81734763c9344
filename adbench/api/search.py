"""Exact nearest-neighbour search on any device, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from adbench.api.leading import LeadingRows
from adbench.api.shortlist import QUERIES, Block, HalfRows, halves_pay, shortlist
from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

BLOCK, DEVICE_BLOCK = 1 << 21, 1 << 28  # elements of one temporary: what a CPU caches, what keeps a GPU busy
SPARE = 4


def exact_search(
    query: Tensor,
    vectors: Tensor,
    k: int,
    metric: str = "l2",
    *,
    owners: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> tuple[Tensor, Tensor]:
    """One search of an `ExactIndex` that is made for it and keeps nothing. See there."""
    return ExactIndex(vectors, metric, owners=owners, keep=False).search(query, k, exclude)


class ExactIndex:
    """Vectors made ready for exact searches by one metric: what does not depend on the query is computed once.

    A matrix product finds the k nearest of each query and the one after them. Distances are then measured directly,
    from the differences, so that each is exact to float32 for the vector it belongs to. The product is off by at most
    (2 C + 4) 2^-24 (|q|² + |v|²), for l2 relative to the bank's mean. Where the next one lies that close to the k-th,
    k + 4 candidates are measured, but at least 8: only if more others than these lie that close can one of them take
    the k-th's place, and its squared distance differs by at most twice that.

    Many vectors of many channels that lie near few dimensions are compared on their leading axes first (`LeadingRows`);
    a query for which the candidates cannot be vouched for is asked again among more of them, then in full.

    On a GPU the product is in half precision and finds k + 32 candidates, but at least 36; a query for which these
    cannot be vouched for by the bound of `HalfRows` is asked again in float32.

    Args:
        vectors: [N, C]; the search runs on their device.
        metric: ``"l2"`` (Euclidean distance, not squared) or ``"cosine"`` (1 - cosine similarity, 1 for a zero vector).
        owners: N ids, needed to exclude.
        keep: whether what is computed is kept, a copy of the vectors (half of one on a GPU, their leading axes where
            these are compared), or made anew, block by block, in each search.

    Raises:
        UsageError: the metric is unknown.
    """

    TOGETHER = 4
    """Up to so many neighbours are chosen from the same candidates: the answer for fewer is part of that for more."""

    def __init__(
        self, vectors: Tensor, metric: str = "l2", *, owners: Sequence[str] | None = None, keep: bool = True
    ) -> None:
        if metric not in {"l2", "cosine"}:
            raise UsageError(f"unknown metric {metric!r} for a search; known: cosine, l2")
        self.vectors, self.metric, self.owners = vectors, metric, owners
        self._center = vectors.float().mean(0) if metric == "l2" and len(vectors) else None
        self._kept, self._halves, self._leading = None, None, None
        if keep and halves_pay(vectors):
            self._halves = HalfRows(self._blocks, self._height())
        elif keep:
            shape = len(vectors), vectors.shape[1]
            self._leading = LeadingRows.where_they_pay(self._blocks, shape, self._height())
            self._kept = self._everything() if self._leading is None else None

    def search(self, query: Tensor, k: int, exclude: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """The k nearest vectors of each query, nearest first, the lower index among equals.

        Args:
            query: [Q, C].
            k: how many; at most the vectors that a query may match.
            exclude: an id a query whose own vectors must not be found, or None.

        Returns:
            Distances [Q, k] float32 and indices [Q, k] int64.

        Raises:
            UsageError: k is larger than what there is to find, or there are no owners to exclude.
        """
        import torch

        query = query.to(self.vectors.device, torch.float32)
        distances = query.new_empty(len(query), k)
        indices = torch.empty(len(query), k, dtype=torch.int64, device=query.device)
        for asking, allowed in self._groups(len(query), exclude):
            check_count(k, len(self.vectors) if allowed is None else len(allowed))
            if self._halves is not None and allowed is None:
                found = self._by_halves(self._halves, query, k)
            elif self._leading is not None and allowed is None:
                found = self._by_leading(self._leading, query, k)
            else:
                found = self._by_floats(query[asking], k, allowed)
            distances[asking], indices[asking] = found
        return distances, indices

    def _by_halves(self, halves: HalfRows, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        asked = self._asked(query)
        candidates, beyond = halves.shortlist(asked, max(k, self.TOGETHER))
        distances, indices = nearest_among(query, self.vectors, candidates, k, self.metric)
        near = distances[:, -1] - 1 if self._center is None else distances[:, -1].square() - (asked / 2).square().sum(1)
        again = halves.doubtful(asked, near, beyond).nonzero().squeeze(1)
        if len(again):
            distances[again], indices[again] = self._by_floats(query[again], k, None)
        return distances, indices

    def _by_leading(
        self, leading: LeadingRows, query: Tensor, k: int, spare: tuple[int, int] = LeadingRows.SPARE
    ) -> tuple[Tensor, Tensor]:
        candidates, beyond = leading.shortlist(self._prepared(query), max(k, self.TOGETHER), spare)
        distances, indices = nearest_among(query, self.vectors, candidates, k, self.metric)
        farthest = distances[:, -1] if self._center is not None else (2 * distances[:, -1]).sqrt()
        sure = (1 + query.shape[1] * 2.0**-23) * farthest < beyond
        again = (~sure).nonzero().squeeze(1)
        if len(again) and spare != leading.MANY:
            distances[again], indices[again] = self._by_leading(leading, query[again], k, leading.MANY)
        elif len(again):
            distances[again], indices[again] = self._by_floats(query[again], k, None)
        return distances, indices

    def _by_floats(self, query: Tensor, k: int, allowed: Tensor | None) -> tuple[Tensor, Tensor]:
        asked = self._asked(query)
        near, candidates = shortlist(asked, self._blocks(allowed), k + 1, QUERIES)
        distances, indices = nearest_among(query, self.vectors, candidates[:, :k], k, self.metric)
        close = near[:, k:] <= near[:, k - 1 : k] + 4 * self._roundoff(asked)  # [Q, 0] where there are only k
        doubtful = close.any(1).nonzero().squeeze(1)
        if len(doubtful):
            wanted = max(k, self.TOGETHER) + SPARE
            _, candidates = shortlist(asked[doubtful], self._blocks(allowed), wanted, QUERIES)
            found = nearest_among(query[doubtful], self.vectors, candidates, k, self.metric)
            distances[doubtful], indices[doubtful] = found
        return distances, indices

    def _roundoff(self, asked: Tensor) -> Tensor:
        """[Q, 1] by how much the product may be off, and at least by how much a distance measured directly."""
        queries = asked.square().sum(1, keepdim=True) / (1 if self._center is None else 4)
        return (2 * asked.shape[1] + 4) * 2.0**-24 * (queries + self._reach)

    @cached_property
    def _reach(self) -> float:
        """The largest squared norm of a prepared row."""
        return 1.0 if self._center is None else max(float(block.own.max()) for block in self._blocks())

    def _asked(self, query: Tensor) -> Tensor:
        """Queries as `shortlist` needs them."""
        return self._prepared(query).mul_(-1 if self._center is None else -2)

    def _prepared(self, rows: Tensor) -> Tensor:
        """Rows in the form in which a matrix product loses the fewest digits."""
        from torch.nn.functional import normalize

        return normalize(rows.float(), dim=-1) if self._center is None else rows.float() - self._center

    def _height(self) -> int:
        block = BLOCK if self.vectors.device.type == "cpu" else DEVICE_BLOCK
        return max(1, block // max(QUERIES, self.vectors.shape[1]))

    def _blocks(self, allowed: Tensor | None = None) -> Iterator[Block]:
        """All rows, or those that are allowed, prepared."""
        import torch

        every = torch.arange(len(self.vectors), device=self.vectors.device) if allowed is None else allowed
        for start in range(0, len(every), self._height()):
            index = every[start : start + self._height()]
            part = slice(start, start + len(index)) if allowed is None else index  # a slice copies nothing
            if self._kept is not None:
                yield Block(self._kept.rows[part], self._kept.own[part], index)
            else:
                rows = self._prepared(self.vectors[part])
                own = rows.new_zeros(len(rows)) if self._center is None else rows.square().sum(1)
                yield Block(rows, own, index)

    def _everything(self) -> Block:
        """All rows in one block."""
        import torch

        rows = torch.empty_like(self.vectors, dtype=torch.float32)
        own = rows.new_empty(len(rows))
        for block in self._blocks():
            rows[block.index], own[block.index] = block.rows, block.own
        return Block(rows, own, torch.arange(len(rows), device=rows.device))

    def _groups(self, queries: int, exclude: Sequence[str] | None) -> Iterator[tuple[Tensor | slice, Tensor | None]]:
        """Queries that may match the same vectors, and which vectors those are (None for all)."""
        import torch

        if exclude is None:
            yield slice(None), None
            return
        if self.owners is None or len(self.owners) != len(self.vectors) or len(exclude) != queries:
            raise UsageError("a search with exclusions needs the owner of each vector and one id for each query")
        numbers, owned = self._ownership
        asked = torch.tensor([numbers.get(own, -1) for own in exclude], dtype=torch.int64, device=owned.device)
        for number in torch.unique(asked).tolist():
            yield (asked == number).nonzero().squeeze(1), (owned != number).nonzero().squeeze(1)

    @cached_property
    def _ownership(self) -> tuple[dict[str, int], Tensor]:
        """A number for each owner, and the number of each vector's owner."""
        import torch

        numbers: dict[str, int] = {}
        owned = [numbers.setdefault(owner, len(numbers)) for owner in self.owners or ()]
        return numbers, torch.tensor(owned, device=self.vectors.device)


def check_count(k: int, available: int) -> None:
    """Refuse to look for more than there is.

    Raises:
        UsageError: k is below 1 or above what is available.
    """
    if not 1 <= k <= available:
        raise UsageError(f"cannot find {k} neighbours among {available} vectors; ask for 1 to {available}")


def nearest_among(query: Tensor, vectors: Tensor, candidates: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor]:
    """The k nearest of some candidates, measured directly, from the differences.

    Args:
        query: [Q, C] float32.
        vectors: [N, C].
        candidates: [Q, K] indices of vectors for each query, none twice.
        k: how many of them; at most K.
        metric: ``"l2"`` or ``"cosine"``.

    Returns:
        Distances [Q, k] float32 and indices [Q, k], nearest first, the lower index among equals.
    """
    import torch

    candidates = candidates.sort(1).values
    measure = _euclidean if metric == "l2" else _cosine
    block = BLOCK if vectors.device.type == "cpu" else DEVICE_BLOCK
    height = max(1, block // max(1, candidates.shape[1] * query.shape[1]))
    parts = zip(torch.split(query, height), torch.split(candidates, height), strict=True)
    distances = torch.cat([measure(some[:, None], _rows(vectors, near)) for some, near in parts])
    ordered, order = distances.sort(stable=True, dim=1)
    return ordered[:, :k], candidates.gather(1, order[:, :k])


def _rows(vectors: Tensor, index: Tensor) -> Tensor:
    """[Q, K, C]; on a CPU a quarter of the time of ``vectors[index]``."""
    return vectors.index_select(0, index.flatten()).reshape(*index.shape, vectors.shape[1]).float()


def _euclidean(query: Tensor, rows: Tensor) -> Tensor:
    return (rows - query).square_().sum(-1).sqrt_()


def _cosine(query: Tensor, rows: Tensor) -> Tensor:
    """1 - cos as half the squared difference of unit vectors: it keeps the digits of small angles."""
    from torch.nn.functional import normalize

    query, rows = normalize(query, dim=-1), normalize(rows, dim=-1)
    zeros = (query == 0).all(-1).float() + (rows == 0).all(-1).float()
    return (rows - query).square_().sum(-1).add_(zeros).div_(2)
