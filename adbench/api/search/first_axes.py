"""Candidates for a nearest-neighbour search from the first few of the leading axes, then from all of these.

A distance along some axes bounds the whole distance from below only. What rules a row out is a limit from above: the
k-th smallest of distances that were measured. The first limit comes from an even sample of the rows, of which those
that are nearest along all leading axes are measured. Then each block of rows gives candidates; they are measured, too,
and bring the limits down for the blocks that follow.

Queries that are alike form a tile. The product of a tile and a block along the first axes leaves the rows that any of
the queries may want, and with alike queries these are few. They alone are compared along more axes, and what is left
then along all leading axes.

So a row is left out only if a bound of its distance is above a distance that was measured k times: every row that can
be among the k nearest, equal ones included, is a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.search.bfloats import LONGEST_QUERY, REACH, Candidates

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.search.owners import Excluded
    from adbench.api.search.pca_bound import ProjectedQueries, ProjectedRows

TILE, HEIGHT = 128, 8192
"""Queries and rows that are compared together: their product stays in a processor's cache."""
SAMPLED = 64
"""Every so manieth row is in the sample."""
LIKENESS = 16
"""Axes by which queries are alike."""
MOST_LEFT = 0.5
"""The share of pairs that may have to be compared along all axes: with more, that alone would be faster."""
SLACK = 1 + 2.0**-14
"""What covers that the limit is a channel of the first product, and the roundoff of the limit itself."""


class PairMeasure(NamedTuple):
    """How distances are measured.

    Attributes:
        distances: gives those of pairs [P] float32, from some queries [P] and rows [P] by index.
        reach: gives how far apart a query and a row are at most that are measured to be so distant.
    """

    distances: Callable[[Tensor, Tensor], Tensor]
    reach: Callable[[Tensor], Tensor]


class FoundPairs(NamedTuple):
    """The candidates of a search.

    Attributes:
        candidates: as pairs.
        distances: [P] of the pairs, as measured.
        left: the share of all pairs that had to be compared along all leading axes.
    """

    candidates: Candidates
    distances: np.ndarray
    left: float


class FirstAxes:
    """Rows on their leading axes, ready to be compared on the first of these.

    Args:
        projected: rows on their leading axes.
    """

    LEAST_ROWS, LEAST_QUERIES, MOST_NEIGHBOURS = 1 << 15, 128, 4
    """With fewer rows or queries, or more neighbours, a product along all leading axes takes no longer."""
    STAGES: tuple[int, ...] = (30, 78)
    """Axes that are compared before all of them, and with two channels beside them."""
    LEAST_CANDIDATES, PER_ROWS, MOST_CANDIDATES = 64, 64, 1 << 13
    """A query may have so many candidates at least, and one for so many rows: measuring more takes longer than a
    product along all leading axes."""

    def __init__(self, projected: ProjectedRows) -> None:
        self._projected = projected
        self.rows, self.offsets = projected.rows, projected.offsets
        firsts = [self.rows[:, :axes] for axes in self._worth(self.rows.shape[1])]
        self.stages = [_with_ones(first, first.square().sum(1)) for first in firsts]
        self.sample, self.sampled_offsets = self.rows[::SAMPLED].contiguous(), self.offsets[::SAMPLED].contiguous()
        self.most = min(max(self.LEAST_CANDIDATES, len(self.rows) // self.PER_ROWS), self.MOST_CANDIDATES)

    @classmethod
    def if_faster(cls, projected: ProjectedRows) -> FirstAxes | None:
        """None for few rows or leading axes, and where a row is no finite number."""
        rows = projected.rows
        many = len(rows) >= cls.LEAST_ROWS and cls._worth(rows.shape[1])
        usual = REACH[0] <= projected.reach <= REACH[1]  # NaN is not
        return cls(projected) if many and usual and rows.device.type == "cpu" else None

    @classmethod
    def _worth(cls, axes: int) -> list[int]:
        """The stages that take at most half of the time of a product along so many axes."""
        return [first for first in cls.STAGES if 2 * (first + 2) <= axes]

    def are_enough(self, queries: int, k: int) -> bool:
        """Whether so many queries for k neighbours are worth it."""
        return queries >= self.LEAST_QUERIES and k <= min(self.MOST_NEIGHBOURS, len(self.sample))

    def are_poor(self, uncertain: int, queries: int, left: float) -> bool:
        """Whether a search would have been faster along all leading axes.

        Args:
            uncertain: queries that had too many candidates.
            queries: in all.
            left: the share of the pairs that had to be compared along all axes.
        """
        return left > MOST_LEFT or (queries >= 4 * self.LEAST_QUERIES and 4 * uncertain > queries)

    def search(self, query: Tensor, k: int, measure: PairMeasure, excluded: Excluded | None) -> FoundPairs:
        """The candidates of some queries.

        Args:
            query: [Q, C] float32, prepared as the rows were.
            k: how many neighbours are looked for.
            measure: how distances are measured.
            excluded: rows that a query must not find; they are no candidates.
        """
        import torch

        asked = self._projected.projected(query)
        order = torch.cat(alike(asked.cut[:, :LIKENESS], TILE))
        ordered = PairMeasure(lambda some, rows: measure.distances(order[some], rows), measure.reach)
        search = _Search(self, asked.some(order), k, ordered, excluded and excluded[order])
        for start in range(0, len(self.rows), HEIGHT):
            search.look_among(start, min(start + HEIGHT, len(self.rows)))
        return search.found(order.numpy())


class _Search:
    """A search under way. Queries are in tiles.

    Attributes:
        limit: [Q] a distance that k rows were measured to have at most.
        alive: [Q] whether a query has a limit, and not too many candidates.
    """

    def __init__(
        self, rows: FirstAxes, asked: ProjectedQueries, k: int, measure: PairMeasure, excluded: Excluded | None
    ) -> None:
        import numpy as np
        import torch

        self._rows, self._k, self._measure, self._excluded = rows, k, measure, excluded
        usual = asked.lengths <= LONGEST_QUERY  # NaN is not
        cut = asked.cut.where(usual[:, None], 0.0)  # what is no number would hide the other queries of its tile
        self._asked, self._own = -2 * cut, _squares(cut)
        cuts = [cut[:, : stage.shape[1] - 2] for stage in rows.stages]
        self._stages = [(_with_ones(-2 * part, part.new_ones(len(part))), _squares(part)) for part in cuts]
        self._moved, self._rounded = asked.moved.double().numpy(), asked.rounded.double().numpy()
        self._tiles = [slice(start, min(start + TILE, len(cut))) for start in range(0, len(cut), TILE)]
        self._best = np.full((len(cut), k), np.inf, dtype=np.float32)
        self._counts = np.zeros(len(cut), dtype=np.int64)
        self._pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._room, self._rows_room = torch.empty(TILE * HEIGHT), torch.empty(HEIGHT * cut.shape[1])
        self._left = 0
        self.limit = self._first_limit()
        self.alive = np.isfinite(self.limit) & usual.numpy()

    def _first_limit(self) -> np.ndarray:
        """[Q] the largest distance of the k rows of the sample that are nearest along all leading axes."""
        import torch

        near, place = (torch.cat(part) for part in zip(*map(self._nearest_of_sample, self._tiles), strict=True))
        query = torch.arange(len(place)).repeat_interleave(self._k)
        distances = self._measure.distances(query, place.flatten() * SAMPLED).view(near.shape)
        limit: np.ndarray = distances.masked_fill_(near.isinf(), float("inf")).amax(1).numpy()
        return limit

    def _nearest_of_sample(self, tile: slice) -> tuple[Tensor, Tensor]:
        """How near the k nearest of the sample are [T, k], and their places there."""
        import torch

        near = torch.addmm(self._rows.sampled_offsets, self._asked[tile], self._rows.sample.T)
        if self._excluded is not None:
            owners = self._excluded.owners.of_vector[::SAMPLED]
            near.masked_fill_(owners == self._excluded.numbers[tile, None], float("inf"))
        if self._k > 1:
            values, place = near.topk(self._k, largest=False)
            return values, place
        place = torch.from_numpy(near.numpy().argmin(1))[:, None]
        return near.gather(1, place), place

    def look_among(self, start: int, stop: int) -> None:
        """Compare all queries with a block of rows."""
        import numpy as np

        closest = self._closest()
        found = [pairs for tile in self._tiles for pairs in self._within(tile, closest, start, stop)]
        if found:
            query, row = (np.concatenate(part) for part in zip(*found, strict=True))
            self._take(*self._allowed(query, row))

    def _closest(self) -> np.ndarray:
        """[Q] what a product along all leading axes may be; in other stages the limits are a channel of the product."""
        import numpy as np
        import torch

        farthest = self._measure.reach(torch.from_numpy(self.limit).double()).numpy()
        squared = (np.square(farthest + self._moved) + 2 * self._rounded) * SLACK
        squared[~self.alive] = -np.inf
        for asked, own in self._stages:
            asked[:, -1] = torch.from_numpy(own - squared)
        closest: np.ndarray = (squared - self._own).astype(np.float32)
        return closest

    def _within(
        self, tile: slice, closest: np.ndarray, start: int, stop: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Queries of a tile and rows of a block that may be near enough to each other."""
        import numpy as np
        import torch

        wanted = self._wanted(tile, start, stop)
        self._left += len(wanted) * (tile.stop - tile.start)
        if len(wanted):
            rows, offsets = self._collected(self._rows.rows, wanted), self._collected(self._rows.offsets, wanted)
            near = torch.addmm(offsets, self._asked[tile], rows.T, out=self._product_room(tile, len(wanted))).numpy()
            query, place = np.divmod(np.flatnonzero(near <= closest[tile, None]), len(wanted))
            yield tile.start + query, wanted[place]

    def _wanted(self, tile: slice, start: int, stop: int) -> np.ndarray:
        """The rows of a block that any query of a tile may want."""
        import numpy as np
        import torch

        wanted = np.arange(start, stop)
        for rows, (asked, _) in zip(self._rows.stages, self._stages, strict=True):
            some = self._collected(rows, wanted)
            near = torch.mm(asked[tile], some.T, out=self._product_room(tile, len(wanted)))
            wanted = wanted[near.amin(0).numpy() <= 0]
            if not len(wanted):
                break
        return wanted

    def _product_room(self, tile: slice, rows: int) -> Tensor:
        """Memory for a product, used again and again: new memory for each would take a fifth of the time."""
        height = tile.stop - tile.start
        return self._room[: height * rows].view(height, rows)

    def _collected(self, rows: Tensor, wanted: np.ndarray) -> Tensor:
        """Some rows in their order, side by side; no copy where they are that already."""
        import torch

        if wanted[-1] - wanted[0] + 1 == len(wanted):
            return rows[wanted[0] : wanted[-1] + 1]
        if rows.ndim == 1:
            return rows[torch.from_numpy(wanted)]
        room = self._rows_room[: len(wanted) * rows.shape[1]].view(len(wanted), -1)
        return torch.index_select(rows, 0, torch.from_numpy(wanted), out=room)

    def _allowed(self, query: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that are not excluded, of queries that have not too many."""
        import numpy as np

        if self._excluded is not None:
            owners, numbers = self._excluded.owners.of_vector.numpy(), self._excluded.numbers.numpy()
            kept = owners[row] != numbers[query]
            query, row = query[kept], row[kept]
        self._counts += np.bincount(query, minlength=len(self._counts))
        self.alive &= self._counts <= self._rows.most
        kept = self.alive[query]
        return query[kept], row[kept]

    def _take(self, query: np.ndarray, row: np.ndarray) -> None:
        """Measure pairs, keep those within the limits, and lower these."""
        import numpy as np
        import torch

        distances = self._measure.distances(torch.from_numpy(query), torch.from_numpy(row)).numpy()
        near = distances <= self.limit[query]
        query, row, distances = query[near], row[near], distances[near]
        self._pairs.append((query, row, distances))
        self._best = _smallest(self._best, query, distances)
        self.limit = np.minimum(self.limit, self._best[:, -1])

    def found(self, order: np.ndarray) -> FoundPairs:
        """The candidates; the queries [Q] were in this order."""
        import numpy as np

        none = np.empty(0, dtype=np.int64)
        parts = [(none, none, np.empty(0, dtype=np.float32)), *self._pairs]
        query, row, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = self.alive[query] & (distances <= self.limit[query])
        certain = np.empty(len(order), dtype=bool)
        certain[order] = self.alive
        pairs = len(self._rows.rows) * max(1, len(order))
        return FoundPairs(Candidates(order[query[kept]], row[kept], certain), distances[kept], self._left / pairs)


def _smallest(best: np.ndarray, query: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The k smallest distances of each query [Q, k], ascending: those so far and those of pairs [P]."""
    import numpy as np

    k = best.shape[1]
    order = np.lexsort((distances, query))
    query, distances = query[order], distances[order]
    first = np.searchsorted(query, query)  # the place at which a query's pairs begin
    rank = np.arange(len(query)) - first
    more = np.full_like(best, np.inf)
    more[query[rank < k], rank[rank < k]] = distances[rank < k]
    smallest: np.ndarray = np.sort(np.concatenate([best, more], axis=1), axis=1)[:, :k]
    return smallest


def _with_ones(rows: Tensor, beside: Tensor) -> Tensor:
    """Rows [N, C] with a channel beside them, and one of ones."""
    import torch

    return torch.cat([rows, beside[:, None], rows.new_ones(len(rows), 1)], 1)


def _squares(rows: Tensor) -> np.ndarray:
    """[N] squared lengths."""
    squares: np.ndarray = rows.square().sum(1).double().numpy()
    return squares


def alike(points: Tensor, size: int) -> list[Tensor]:
    """Indices of points [N, C] in parts of at most `size` that are alike.

    A part that is too large is cut in two where the points differ most.
    """
    import torch

    parts, ready = [torch.arange(len(points))], []
    while parts:
        part = parts.pop()
        if len(part) <= size:
            ready.append(part)
            continue
        some = points[part]
        order = part[some[:, some.var(0).argmax()].argsort(stable=True)]
        half = -(-len(part) // (2 * size)) * size
        parts += [order[half:], order[:half]]
    return ready
