"""Exact nearest-neighbour search on any device, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.networks.threads import pieces, side_by_side
from adbench.api.search.bfloats import BfloatRows
from adbench.api.search.candidates import QUERIES, Block, HalfRows, halves_are_faster, shortlist
from adbench.api.search.distances import BLOCK, DEVICE_BLOCK, nearest_among, pair_distances
from adbench.api.search.first_axes import FirstAxes, PairMeasure
from adbench.api.search.near_ties import EqualVectors, ErrorBound, nearest_of_ties
from adbench.api.search.owners import Excluded, Owners, check_count
from adbench.api.search.pca_bound import ProjectedRows
from adbench.api.search.shared_results import digest_of, shared_results
from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    _Search = Callable[..., tuple[Tensor, Tensor]]

PIECE = 1 << 28  # multiplications that are worth a thread of their own: fewer are done before it is awake
SPARE = 4, 60  # candidates bound those looked for where a product cannot tell these apart


def exact_search(
    query: Tensor,
    vectors: Tensor,
    k: int,
    metric: str = "l2",
    *,
    owners: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> tuple[Tensor, Tensor]:
    """Search once, by an `ExactIndex` that is made for this search and stores nothing."""
    return ExactIndex(vectors, metric, owners=owners, keep=False).search(query, k, exclude)


class ExactIndex:
    """Vectors prepared for exact searches by one metric: everything that does not depend on the query is computed once.

    A matrix product finds the k nearest of each query and the one after them. Distances are then measured directly,
    from the differences, so that each is exact to float32. The product has an error of at most
    (2 C + 4) 2^-24 (|q|² + |v|²), for l2 relative to the bank's mean. Where the next candidate is within that error of
    the k-th, k + 4 candidates are measured, but at least 8; then 60 more than k. If even the next one after these is
    within the error, a product in float64 finds all vectors that can be the nearest, and these are measured. So the
    result is always that of measuring every distance in float32 and sorting, the lower index first among equals.
    Vectors that a query must not find count as infinitely far in every product.

    Many vectors of many channels that lie near few dimensions are compared on their leading axes first
    (`ProjectedRows`). A query whose candidates are not certain to be enough is searched again among more candidates,
    then among all vectors. Many queries for up to 4 neighbours begin with the first of these axes (`FirstAxes`).

    On a CPU that multiplies matrices of bfloat16 in tiles, such a product finds up to 4 neighbours' candidates, and all
    rows that can be the nearest by the bound of `BfloatRows` are measured. A query with too many of them is searched
    again in float32, along the leading axes where there are any. Where a quarter of many queries is, the index goes on
    in float32 for good.

    On a GPU the product is in half precision and finds k + 32 candidates, but at least 36. A query whose candidates are
    not certain to be enough by the bound of `HalfRows` is searched again in float32.

    Args:
        vectors: [N, C]; the search runs on their device.
        metric: ``"l2"`` (Euclidean distance, not squared) or ``"cosine"`` (1 - cosine similarity, 1 for a zero vector).
        owners: N ids, needed to exclude.
        keep: whether the prepared vectors are stored (a copy of the vectors; half of one on a GPU; their leading axes
            where these are compared; half a copy more where products are in bfloat16), or computed again, block by
            block, in each search.
        share: whether other methods of the same run that search the same vectors for the same queries on the CPU use
            the same result. A GPU searches in less time than it takes to compare the queries.

    Raises:
        UsageError: the metric is unknown.
    """

    TOGETHER = 4
    """Up to so many neighbours are chosen from the same candidates: the answer for fewer is part of that for more."""

    def __init__(
        self,
        vectors: Tensor,
        metric: str = "l2",
        *,
        owners: Sequence[str] | None = None,
        keep: bool = True,
        share: bool = False,
    ) -> None:
        if metric not in {"l2", "cosine"}:
            raise UsageError(f"unknown metric {metric!r} for a search; known: cosine, l2")
        self.vectors, self.metric, self.owners, self._share = vectors, metric, owners, share
        self._center = vectors.float().mean(0) if metric == "l2" and len(vectors) else None
        self._stored = self._halves = self._projected = self._bfloats = self._first = None
        if keep and halves_are_faster(vectors):
            self._halves = HalfRows(self._blocks, self._height())
        elif keep:
            shape = len(vectors), vectors.shape[1]
            self._projected = ProjectedRows.if_faster(self._blocks, shape, self._height())
            if self._projected is None:
                self._stored = self._everything()
            self._bfloats = BfloatRows.if_faster(self._blocks, shape, directions=metric == "cosine")
            if self._projected is not None and self._bfloats is None:
                self._first = FirstAxes.if_faster(self._projected)

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
        shared = shared_results() if self._share and exclude is None and query.device.type == "cpu" else None
        if shared is None:
            return self._search(query, k, exclude)
        most = max(k, min(self.TOGETHER, len(self.vectors)))
        distances, indices = shared.once(
            ("search", self._digest, self.metric, most, digest_of(query)),
            lambda: self._search(query, most, None),
            lambda found: found[0].nbytes + found[1].nbytes,
        )
        return distances[:, :k], indices[:, :k]

    @cached_property
    def _digest(self) -> str:
        """The digest of the vectors."""
        return digest_of(self.vectors)

    def _search(self, query: Tensor, k: int, exclude: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        import torch

        query = query.to(self.vectors.device, torch.float32)
        worth = len(query) * self.vectors.numel() // PIECE if query.device.type == "cpu" else 1
        asked = pieces(len(query), worth)
        parts = [partial(self._searched, query[some], k, exclude and exclude[some]) for some in asked]
        distances, indices = zip(*side_by_side(parts), strict=True)
        return torch.cat(distances), torch.cat(indices)

    def _searched(self, query: Tensor, k: int, exclude: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        excluded, order = self._excluded(len(query), exclude)
        check_count(k, len(self.vectors) - (0 if excluded is None else excluded.largest()))
        if excluded is None:
            return self._found(query, k, None)
        back = order.argsort()
        distances, indices = self._found(query[order], k, excluded)
        return distances[back], indices[back]

    def _found(self, query: Tensor, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
        if self._halves is not None:
            return self._by_halves(self._halves, query, k, excluded)
        if self._bfloats is not None and self._bfloats.are_enough(len(query), k):
            return self._by_bfloats(self._bfloats, query, k, excluded)
        return self._in_float32(query, k, excluded)

    def _in_float32(self, query: Tensor, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
        """Search along the leading axes where these are compared, else along all."""
        if self._projected is None:
            return self._by_floats(query, k=k, excluded=excluded)
        along_all = partial(self._by_projection, self._projected, k=k)
        if self._first is not None and self._first.are_enough(len(query), k):
            return self._by_first_axes(self._first, query, k, excluded, along_all)
        return along_all(query, excluded=excluded)

    def _measured(self, query: Tensor, candidates: Tensor, k: int, excluded: Excluded | None) -> _Measured:
        without = None if excluded is None else excluded.among(candidates)
        distances, indices = nearest_among(query, self.vectors, candidates, candidates.shape[1], self.metric, without)
        tied = distances[:, -1] <= distances[:, k - 1] * (1 + 2.0**-20)
        return _Measured(distances[:, :k].clone(), indices[:, :k].clone(), tied)

    def _search_uncertain(
        self,
        found: _Measured,
        uncertain: Tensor,
        query: Tensor,
        excluded: Excluded | None,
        search: _Search,
    ) -> tuple[Tensor, Tensor]:
        """The results; uncertain queries are searched again, and among ties where all candidates are equally near."""
        k = found.distances.shape[1]
        ties = partial(self._search_ties, k=k)
        for some, search_some in ((uncertain & ~found.tied, search), (uncertain & found.tied, ties)):
            _search_again((found.distances, found.indices), some.nonzero().squeeze(1), query, excluded, search_some)
        return found.distances, found.indices

    def _by_halves(self, halves: HalfRows, query: Tensor, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
        import torch

        scaled = self._scaled_query(query)
        candidates, bound = halves.shortlist(scaled, max(k, self.TOGETHER), excluded)
        found = self._measured(query, candidates, k, excluded)
        cosine = self._center is None
        farthest = found.distances[:, -1] if cosine else found.distances[:, -1].square()
        base = torch.ones_like(farthest) if cosine else (scaled / 2).square().sum(1)
        near = farthest - base + (query.shape[1] + 4) * 2.0**-23 * (farthest + base)  # as measured, at most
        uncertain = halves.uncertain(scaled, near, bound)
        return self._search_uncertain(found, uncertain, query, excluded, partial(self._by_floats, k=k))

    def _by_projection(
        self,
        projected: ProjectedRows,
        query: Tensor,
        k: int,
        excluded: Excluded | None,
        spare: tuple[int, int] = ProjectedRows.SPARE,
    ) -> tuple[Tensor, Tensor]:
        candidates, bound = projected.shortlist(self._prepared(query), max(k, self.TOGETHER), spare, excluded)
        found = self._measured(query, candidates, k, excluded)
        certain = self._reached(found.distances[:, -1]) < bound
        more = partial(self._by_projection, projected, k=k, spare=projected.MANY)
        search = partial(self._by_floats, k=k) if spare == projected.MANY else more
        return self._search_uncertain(found, ~certain, query, excluded, search)

    def _reached(self, measured: Tensor) -> Tensor:
        """How far two prepared vectors are apart at most that are measured to be so distant."""
        farthest = measured if self._center is not None else (2 * measured).sqrt()
        return (1 + self.vectors.shape[1] * 2.0**-23) * farthest

    def _by_first_axes(
        self, first: FirstAxes, query: Tensor, k: int, excluded: Excluded | None, otherwise: _Search
    ) -> tuple[Tensor, Tensor]:
        import torch

        measure = PairMeasure(partial(pair_distances, query, self.vectors, metric=self.metric), self._reached)
        among, measured, left = first.search(self._prepared(query), k, measure, excluded)
        distances, indices = query.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64)
        distances.numpy()[among.certain], indices.numpy()[among.certain] = among.nearest(measured, k)
        index = torch.from_numpy((~among.certain).nonzero()[0])
        _search_again((distances, indices), index, query, excluded, otherwise)
        if first.are_poor(len(index), len(query), left):
            self._first = None
        return distances, indices

    def _by_bfloats(self, rows: BfloatRows, query: Tensor, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
        import torch

        distances, indices = query.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64)
        uncertain = []
        for start in range(0, len(query), rows.together):
            some = slice(start, start + rows.together)
            among = rows.candidates(self._prepared(query[some]), k, excluded and excluded[some])
            pairs = torch.from_numpy(among.query), torch.from_numpy(among.row)
            measured = pair_distances(query[some], self.vectors, *pairs, self.metric).numpy()
            found = among.nearest(measured, k)
            distances[some].numpy()[among.certain], indices[some].numpy()[among.certain] = found
            uncertain.append(torch.from_numpy(start + (~among.certain).nonzero()[0]))
        index = torch.cat(uncertain)
        _search_again((distances, indices), index, query, excluded, partial(self._in_float32, k=k))
        if rows.are_poor(len(index), len(query)):
            self._bfloats = None
        return distances, indices

    def _by_floats(self, query: Tensor, k: int, excluded: Excluded | None, step: int = 0) -> tuple[Tensor, Tensor]:
        scaled = self._scaled_query(query)
        wanted = 1 + (k if step == 0 else max(k, self.TOGETHER) + SPARE[step - 1])
        near, candidates = shortlist(scaled, self._blocks(), wanted, QUERIES, excluded)
        everything = near.shape[1] < wanted
        found = self._measured(query, candidates if everything else candidates[:, :-1], k, excluded)
        if everything:
            return found.distances, found.indices
        certain = near[:, -1] > near[:, k - 1] + 4 * self._roundoff(scaled)
        if step == 0:
            found.tied.fill_(False)  # k candidates cannot show that more are as near
        more = partial(self._by_floats, k=k, step=step + 1)
        search = more if step < len(SPARE) else partial(self._search_ties, k=k)
        return self._search_uncertain(found, ~certain, query, excluded, search)

    def _search_ties(self, query: Tensor, k: int, excluded: Excluded | None) -> tuple[Tensor, Tensor]:
        """Search by `nearest_of_ties`; of equal vectors only the first k can be results."""
        import torch

        if excluded is None:
            return self._search_ties_among(query, k, self._equal_vectors.first(k, None))
        parts = []
        for number, queries in excluded.runs:
            allowed = excluded.owners.of_vector != number
            parts.append(self._search_ties_among(query[queries], k, self._equal_vectors.first(k, allowed)))
        return torch.cat([distance for distance, _ in parts]), torch.cat([index for _, index in parts])

    def _search_ties_among(self, query: Tensor, k: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        center = self._in_float64(query).mean(0)  # relative to it, products lose the fewest digits
        channels, cosine = query.shape[1], self._center is None
        error_bound = ErrorBound((channels + 4) * 2.0**-24, (channels + 6) * 2.0**-24 if cosine else 0.0)

        def shifted(some: Tensor) -> tuple[Tensor, Tensor]:
            """Float64, relative to the center, and what each adds to a squared distance (cosine: twice that)."""
            ready = self._in_float64(some)
            beside = (ready == 0).all(1) if cosine else 0.0
            moved = ready - center
            return moved, moved.square().sum(1) + beside

        def blocks() -> Iterator[Block]:
            for index in torch.split(rows, max(1, min(self._height(), BLOCK // QUERIES))):
                yield Block(*shifted(self.vectors[index]), index)

        def measure(queries: Tensor, found: Tensor) -> Tensor:
            return pair_distances(query, self.vectors, queries, found, self.metric)

        scaled, offset = shifted(query)
        return nearest_of_ties(scaled.mul_(-2), offset, error_bound, blocks, k, measure)

    def _in_float64(self, rows: Tensor) -> Tensor:
        """Rows as distances are between them, in float64."""
        from torch.nn.functional import normalize

        return (normalize(rows.float(), dim=-1) if self._center is None else rows.float()).double()

    @cached_property
    def _equal_vectors(self) -> EqualVectors:
        return EqualVectors.of(self.vectors, self._height())

    def _roundoff(self, scaled: Tensor) -> Tensor:
        """[Q] by how much the product may be off, and at least by how much a distance measured directly."""
        queries = scaled.square().sum(1) / (1 if self._center is None else 4)
        return (2 * scaled.shape[1] + 4) * 2.0**-24 * (queries + self._reach)

    @cached_property
    def _reach(self) -> float:
        """The largest squared norm of a prepared row."""
        return 1.0 if self._center is None else max(float(block.offset.max()) for block in self._blocks())

    def _scaled_query(self, query: Tensor) -> Tensor:
        """The queries, scaled as `shortlist` needs them."""
        return self._prepared(query).mul_(-1 if self._center is None else -2)

    def _prepared(self, rows: Tensor) -> Tensor:
        """Rows in the form in which a matrix product loses the fewest digits."""
        from torch.nn.functional import normalize

        return normalize(rows.float(), dim=-1) if self._center is None else rows.float() - self._center

    def _height(self) -> int:
        block = BLOCK if self.vectors.device.type == "cpu" else DEVICE_BLOCK
        return max(1, block // max(QUERIES, self.vectors.shape[1]))

    def _blocks(self) -> Iterator[Block]:
        """All rows, prepared."""
        import torch

        every = torch.arange(len(self.vectors), device=self.vectors.device)
        for start in range(0, len(every), self._height()):
            part = slice(start, start + self._height())  # a slice copies nothing
            if self._stored is not None:
                yield Block(self._stored.rows[part], self._stored.offset[part], every[part])
            else:
                rows = self._prepared(self.vectors[part])
                offset = rows.new_zeros(len(rows)) if self._center is None else rows.square().sum(1)
                yield Block(rows, offset, every[part])

    def _everything(self) -> Block:
        """All rows in one block."""
        import torch

        rows = torch.empty_like(self.vectors, dtype=torch.float32)
        offset = rows.new_empty(len(rows))
        for block in self._blocks():
            rows[block.index], offset[block.index] = block.rows, block.offset
        return Block(rows, offset, torch.arange(len(rows), device=rows.device))

    def _excluded(self, queries: int, exclude: Sequence[str] | None) -> tuple[Excluded | None, Tensor]:
        """The exclusions of the queries in the order of their owners, and that order; None if nothing is excluded."""
        import torch

        if exclude is None:
            return None, torch.empty(0)
        if self.owners is None or len(self.owners) != len(self.vectors) or len(exclude) != queries:
            raise UsageError("a search with exclusions needs the owner of each vector and one id for each query")
        numbers, order = self._ownership.numbers(exclude).sort(stable=True)
        excluded = Excluded(self._ownership, numbers)
        return (excluded if excluded.groups else None), order

    @cached_property
    def _ownership(self) -> Owners:
        return Owners(self.owners or (), self.vectors.device)


class _Measured(NamedTuple):
    """The nearest [Q, k] of some candidates, and whether all candidates are as near as the last of these [Q]."""

    distances: Tensor
    indices: Tensor
    tied: Tensor


def _search_again(
    results: tuple[Tensor, Tensor], index: Tensor, query: Tensor, excluded: Excluded | None, search: _Search
) -> None:
    """Put other results in the place of those of some queries."""
    if len(index):
        others = None if excluded is None else excluded[index]
        results[0][index], results[1][index] = search(query[index], excluded=others)
