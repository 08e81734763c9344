"""Greedy k-center: the coreset selection of PatchCore, with the plain loop's own answer in a fraction of its time.

Starting from one point, the point farthest from all chosen ones is chosen next, again and again: Gonzalez, "Clustering
to minimize the maximum intercluster distance" (1985), within twice the optimal radius; proposed for coresets of deep
features by Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach" (2018), and
used in PatchCore, arXiv 2106.08265, section 3.2 (Algorithm 1).

`plain_k_center` is the definition. `greedy_cover` selects the same points, bit for bit, on three observations:

*Distances to the nearest center only ever shrink.* A distance that was measured some centers ago is an upper bound, and
a point whose bound is below the farthest distance cannot win. The 2,048 farthest points are the shortlist; the largest
bound among the others is its floor. While the shortlist's best is above the floor, no other point is compared. When it
sinks below, points with large bounds are compared with the centers that they have not been compared with yet; points
with small bounds wait until the farthest distance has come down to theirs.

*Most centers are clearly too far.* Features vary mostly in few directions. Along the first C / 8 principal
directions, two points are never farther apart than in all directions, and a product of these short sketches gives
lower bounds of the distances of all pairs (`adbench.api.coresets.sketch`). Where that rules out too little, as in noise
without directions, the product of the whole vectors follows.

*Bounds rule out, the plain arithmetic decides.* A center that cannot be ruled out is measured as the plain loop does.
So the distances that are compared are the plain loop's own, and the products' rounding only has to be bounded.

An eighth of the vectors' size is needed beside them. Everything runs on the device of the vectors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.coresets import arithmetic
from adbench.api.coresets.group import Group
from adbench.api.coresets.sketch import Sketches
from adbench.api.search.shared_results import digest_of, shared_results
from adbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

SHORTLIST = 2048
WORTH_BOUNDING, WORTH_MEASURING = 0.25, 0.02  # a measured pair takes as long as some fifty closer bounds
SAMPLED = 8  # every so manieth point shows how much sketches rule out
CACHED = 1 << 18, 1 << 17  # elements of a matrix product and of a block of differences, for a CPU's caches
FILLING = 1 << 25, 1 << 26  # the same where many small blocks would leave the device idle


@dataclass(frozen=True)
class Selection:
    """The result of a selection.

    Attributes:
        index: [count] int64, in order of selection.
        radius: no point is farther than this from the nearest selected one.
        progress: the state that a longer selection continues from.
    """

    index: Tensor
    radius: float
    progress: Progress


@dataclass(frozen=True)
class Progress:
    """The progress of a selection. A selection is the beginning of every longer one from the same start.

    Attributes:
        chosen: [count] int64, the centers so far.
        reached: [count + 1] squared distance of each center to those before it, and of the farthest point to all.
        seconds: [count] float64, the time until each was chosen, counted from the first.
        prepared_s: the time before the first was chosen.
        distance, exact, compared: [N] the state of the points, as in `_Points`.
    """

    chosen: Tensor
    reached: Tensor
    seconds: Tensor
    prepared_s: float
    distance: Tensor
    exact: Tensor
    compared: Tensor

    def first(self, count: int) -> Selection:
        """The selection that had stopped at `count`."""
        return Selection(self.chosen[:count], math.sqrt(self.reached[count]), self)

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        parts = (self.chosen, self.reached, self.seconds, self.distance, self.exact, self.compared)
        return sum(part.nbytes for part in parts)


def greedy_cover(
    vectors: Tensor, count: int, start: int, progress: Progress | None = None, ceiling: Tensor | None = None
) -> Selection:
    """The points that greedy k-center selects, exactly as `plain_k_center` does, and how well they cover the others.

    Methods of the same run share it: a smaller selection is the beginning of a larger one, which goes on from it.

    Args:
        vectors: [N, C] float32, finite.
        count: how many to select, 1 to N.
        start: the first one.
        progress: of a shorter selection among the same vectors from the same start, to go on from.
        ceiling: [N] float32, squared distances that the points have before anything is chosen; none: infinite ones.
            With it the radius is that of the distances so capped, and the guarantee is lost.

    Returns:
        The selection. Once every point coincides with a selected one, index 0 fills the rest.

    Raises:
        UsageError: count or start is out of range.
    """
    if not 0 < count <= len(vectors):
        raise UsageError(f"k-center: cannot select {count} of {len(vectors)} vectors; ask for 1 to {len(vectors)}")
    if not 0 <= start < len(vectors):
        raise UsageError(f"k-center: start {start} is not among the {len(vectors)} vectors")
    shared = shared_results() if progress is None else None
    if shared is None:
        return _cover(vectors, count, start, progress, ceiling)
    key = ("greedy k-center", start, digest_of(vectors), None if ceiling is None else digest_of(ceiling))
    before: Progress | None = shared.get(key)
    if before is not None and len(before.chosen) >= count:
        shared.charge(before.prepared_s + float(before.seconds[count - 1]))
        return before.first(count)
    if before is not None:
        shared.charge(float(before.seconds[-1]))
    selection = _cover(vectors, count, start, before, ceiling)
    shared.put(key, selection.progress, selection.progress.nbytes)
    return selection


def _cover(vectors: Tensor, count: int, start: int, progress: Progress | None, ceiling: Tensor | None) -> Selection:
    started = time.perf_counter()
    points = _Points(vectors.float().contiguous(), count)
    if ceiling is not None:
        points.cap(ceiling)
    points.begin(start, time.perf_counter() - started, progress)
    return _select(points, count)


def greedy_k_center(vectors: Tensor, count: int, start: int) -> Tensor:
    """The [count] indices that `greedy_cover` selects."""
    return greedy_cover(vectors, count, start).index


def distinct(index: Tensor) -> Tensor:
    """Indices in order of first appearance, each once."""
    import torch

    return torch.tensor(list(dict.fromkeys(index.tolist())), device=index.device)


def _select(points: _Points, count: int) -> Selection:
    shortlist, floor = points.farthest()
    best, winner = shortlist.farthest()
    while points.count < count and best > 0:
        if best <= floor:  # where more are equal than the shortlist holds
            _, winner = points.everyone.farthest()
        points.choose(winner, best)
        points.compare_with_latest(shortlist)
        best, winner = shortlist.farthest()
        if best <= floor:
            points.store(shortlist)
            shortlist, floor = points.farthest()
            best, winner = shortlist.farthest()
    points.store(shortlist)
    points.fill(best)
    return Selection(points.chosen, math.sqrt(best), points.progress())


class _Bounds(NamedTuple):
    """Lower bounds [M, K] of squared distances between points, given by their places in a group, and centers [K]."""

    low: Tensor
    hit: Tensor
    centers: Tensor


class _Points:
    """All points and the centers chosen among them.

    Attributes:
        everyone: the points.
        compared: [N] how many of the centers each was compared with.
        chosen: [count] the centers, of which there are `count` so far.
    """

    def __init__(self, vectors: Tensor, most: int) -> None:
        import torch

        every = torch.arange(len(vectors), device=vectors.device)
        self.vectors, self.sketches = vectors, Sketches.of(vectors)
        infinite = torch.full(every.shape, math.inf, device=vectors.device)
        self.everyone = Group(every, infinite, every >= 0, self.sketches.rows, self.sketches.own)
        self.compared = every.new_zeros(len(every), dtype=torch.int32)
        self.chosen, self.count = every.new_zeros(most), 0
        self.reached = torch.full((most + 1,), math.inf)
        self.seconds, self.prepared_s = torch.zeros(most, dtype=torch.float64), 0.0
        self._since = 0.0
        self.products, self.differences = CACHED if arithmetic.on_cpu(vectors) else FILLING

    def cap(self, ceiling: Tensor) -> None:
        """Give the points squared distances [N] to begin with."""
        self.everyone = replace(self.everyone, distance=ceiling.clone())

    def begin(self, start: int, prepared_s: float, progress: Progress | None) -> None:
        """Choose the first center, or all that a shorter selection has chosen."""
        self.prepared_s, self._since = prepared_s, time.perf_counter()
        if progress is None:
            self.choose(start, math.inf)
            return
        self.count = len(progress.chosen)
        self.chosen[: self.count] = progress.chosen
        self.reached[: self.count] = progress.reached[: self.count]
        self.seconds[: self.count] = progress.seconds
        self._since -= float(progress.seconds[-1])
        everyone = {"distance": progress.distance.clone(), "exact": progress.exact.clone()}
        self.everyone, self.compared = replace(self.everyone, **everyone), progress.compared.clone()

    def choose(self, index: int, distance: float) -> None:
        """Make a point the next center, whose squared distance to the others is known."""
        self.chosen[self.count], self.reached[self.count] = index, distance
        self.seconds[self.count] = time.perf_counter() - self._since
        self.count += 1

    def fill(self, distance: float) -> None:
        """Store the final distance of the farthest point; centers for which no point was left took no time."""
        self.reached[self.count :] = distance
        self.seconds[self.count :] = time.perf_counter() - self._since

    def progress(self) -> Progress:
        """The progress that a longer selection continues from."""
        known = (self.everyone.distance, self.everyone.exact, self.compared)
        return Progress(self.chosen, self.reached, self.seconds, self.prepared_s, *known)

    def farthest(self) -> tuple[Group, float]:
        """The shortlist, exact and in order of index, and its floor. Points as far as its best are exact, too."""
        distance = self.everyone.distance
        while True:
            self._update_farthest()
            keep, floor = self._top()
            if self._make_exact(keep):
                continue
            best = float(distance[keep].max())
            if best > floor or not self._make_exact((distance >= best).nonzero().squeeze(1)):
                break
        return replace(self.everyone.some(keep), rows=self._centered(keep)), floor

    def store(self, group: Group) -> None:
        """Store the distances of a group that was compared with all centers."""
        self.everyone.distance[group.index] = group.distance
        self.everyone.exact[group.index] = group.exact
        self.compared[group.index] = self.count

    def _top(self) -> tuple[Tensor, float]:
        """The points with the largest distances, in order of index, and the largest distance among the others."""
        import torch

        distance = self.everyone.distance
        if len(distance) <= SHORTLIST:
            return self.everyone.index, -math.inf
        far = self._at_least(self._threshold())
        if len(far) == SHORTLIST:
            return far, float(distance.index_fill(0, far, -math.inf).amax())
        top = far[arithmetic.largest(distance[far], SHORTLIST + 1)]
        values = distance[top]
        floor = values.argmin()
        others = torch.arange(len(top), device=top.device) != floor
        return top[others].sort().values, float(values[floor])

    def _update_farthest(self) -> None:
        """Compare points with missing centers, until those of the shortlist were compared with all centers."""
        step = 4 * SHORTLIST
        while len(outdated := self._outdated(step)):
            for group in self._compared_groups(outdated, self.compared[outdated], self.compare_by_bounds):
                self.store(group)
            step *= 2

    def _outdated(self, most: int) -> Tensor:
        """At most `most` points that were not compared with all centers and may belong on the shortlist."""
        distance = self.everyone.distance
        far = self._at_least(self._threshold())
        outdated = far[self.compared[far] != self.count]
        return (
            outdated if len(outdated) <= most else outdated[arithmetic.largest(distance[outdated], most)].sort().values
        )

    def _threshold(self) -> float:
        """A distance that as many points have at least as a shortlist holds: points compared with all centers."""
        current = arithmetic.places(self.compared == self.count)
        if len(current) < SHORTLIST:
            return -math.inf
        return arithmetic.least_of_largest(self.everyone.distance[current], SHORTLIST)

    def _at_least(self, threshold: float) -> Tensor:
        """The points whose distance is at least this, in order of index."""
        return arithmetic.places(self.everyone.distance >= threshold)

    def _make_exact(self, index: Tensor) -> bool:
        """Make the distances of points exact, by all centers; returns whether any distance was a bound before."""
        compared, exact = self.compared[index], self.everyone.exact[index]
        inexact = ~exact | (compared < self.count)
        for group in self._compared_groups(index[inexact], compared.where(exact, 0)[inexact], self.compare):
            self.store(replace(group, exact=group.index >= 0))
        return bool(inexact.any())

    def _compared_groups(
        self, index: Tensor, compared: Tensor, compare: Callable[[Group, int, int], None]
    ) -> Iterator[Group]:
        """Groups of points, compared with all centers from number `compared` [M] on; points of one number together."""
        compared, order = compared.sort(stable=True)
        index, width = index[order], math.isqrt(self.products)
        while len(index):
            centers = min(width, self.count - int(compared[0]))
            height = max(1, self.products // max(centers, self.everyone.sketch.shape[1]))
            group = self.everyone.some(index[:height])
            for first in range(int(compared[0]), self.count, width):
                compare(group, first, min(first + width, self.count))
            yield group
            index, compared = index[height:], compared[height:]

    def compare_with_latest(self, group: Group) -> None:
        """Lower the group's distances by the center that was chosen last.

        A GPU measures all of them: to find out which points need it would take seven transfers, and it waits for each.
        """
        import torch

        latest = self.chosen[self.count - 1 : self.count]
        if arithmetic.on_cpu(group.distance):
            assert group.rows is not None
            low = self.sketches.closer_bounds(group.rows, group.index, self._centered(latest), latest)
            hit = (low.squeeze(1) < group.distance).nonzero().squeeze(1)
            self._measure(group, hit, latest.expand(len(hit)))
            return
        rows = self.vectors.index_select(0, group.index)
        rows -= self.vectors.index_select(0, latest)
        torch.minimum(group.distance, arithmetic.squared_lengths(rows), out=group.distance)

    def compare_by_bounds(self, group: Group, first: int, last: int) -> None:
        """Lower the group's distances as `compare` does; a result may be a bound."""
        bounds = self._bounds(group, first, last, WORTH_BOUNDING)
        self._measure(group, bounds.hit, bounds.centers[arithmetic.argmin(bounds.low)])
        group.exact[bounds.hit] = False

    def compare(self, group: Group, first: int, last: int) -> None:
        """Lower the group's distances by the centers from number `first` to before `last`."""
        low, hit, centers = self._bounds(group, first, last, WORTH_MEASURING)
        nearest = arithmetic.argmin(low)
        self._measure(group, hit, centers[nearest])
        low.scatter_(1, nearest[:, None], math.inf)
        point, center = (low < group.distance[hit, None]).nonzero(as_tuple=True)
        self._measure(group, hit[point], centers[center])

    def _bounds(self, group: Group, first: int, last: int, worth: float) -> _Bounds:
        """Lower bounds for the points that a center may be nearer to than those before.

        Args:
            group: the points.
            first: the number of the first center.
            last: the number after that of the last one.
            worth: the share of the pairs that sketches may leave before closer bounds are computed.
        """
        centers = self.chosen[first:last]
        low = self.sketches.lower_bounds(group.sketch, group.own, centers)
        hit = (low.amin(1) < group.distance).nonzero().squeeze(1)
        if len(hit) < len(low):
            low = low.index_select(0, hit)
        left = low[::SAMPLED] < group.distance[hit[::SAMPLED], None]
        if int(left.count_nonzero()) > worth * left.numel():  # the sketches rule out too little
            some = group.index[hit]
            low = self.sketches.closer_bounds(self._centered(some), some, self._centered(centers), centers)
            still = (low.amin(1) < group.distance[hit]).nonzero().squeeze(1)
            hit, low = hit[still], low.index_select(0, still)
        return _Bounds(low, hit, centers)

    def _measure(self, group: Group, point: Tensor, center: Tensor) -> None:
        """Lower the distances of the group's points at `point` [M] by the plain ones to the centers [M]."""
        import torch

        height = max(1, self.differences // self.vectors.shape[1])
        for some, others in zip(torch.split(point, height), torch.split(center, height), strict=True):
            rows = self.vectors.index_select(0, group.index[some])
            difference = rows.sub_(self.vectors.index_select(0, others))
            group.distance.scatter_reduce_(0, some, arithmetic.squared_lengths(difference), "amin")

    def _centered(self, index: Tensor) -> Tensor:
        """[M, C] vectors relative to the mean."""
        return self.vectors.index_select(0, index).sub_(self.sketches.mean)
