"""Confidence intervals of metrics for other test images, by a bootstrap of whole images.

The pixels of an image depend on each other, so the bootstrap draws images, never pixels (clusters: Davison and Hinkley,
"Bootstrap Methods and their Application", 1997, chapter 3). It draws good and defective images separately, as many of
each as there are. So every draw has figures, and the share of defects, which average precision and F1 depend on, stays
the same. The interval is Efron's BCa, by SciPy. In trials on binormal scores its coverage was better than that of plain
percentiles, most of all for the best F1 and if nearly every defect is found.

A draw is a weight for each image: how often it was drawn. Curves need only the numbers of normals and positives of an
image at each level of score; the curves of many draws are then one matrix product. So are their confusions of classes,
for methods that name the type of a defect.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np

from adbench.api.curves.threshold_table import AnnotatedMap, keys_of
from adbench.api.curves.truth import Truth
from adbench.engine.store.record import MetricInfo

if TYPE_CHECKING:
    from adbench.api.curves.classes import ClassPredictions
    from adbench.engine.evaluate.evaluator import Evaluator

DRAWS = 1000
CONFIDENCE = 0.95
SEED = 0
"""The seed of the draws: all methods have the same draws of images."""
LEVELS = 4096
"""Number of levels of the pixels' scores. A level holds at most about 3 / LEVELS of the normals, of the positives or of
the regions, and the curve is a straight line within it: the error of an area is at most half of that, and in practice
far less."""
_CELLS = 1 << 22
"""Largest number of images times levels, at 24 bytes each: with many images there are fewer levels."""
_SEEN = 1 << 20
"""Number of pixels that determine the levels."""
_BATCH = 1 << 18
"""Draws times levels, or times images, of one batch."""

Interval: TypeAlias = tuple[float, float]
Column: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Counts(Protocol[T_co]):
    """The counts of N images that the figures of a draw depend on: each image adds its own."""

    @property
    def images(self) -> int: ...

    @property
    def drawable(self) -> bool:
        """Whether draws have figures."""
        ...

    def drawn(self, weights: Column) -> T_co:
        """The counts of draws [B, N]: how often each draw contains each image."""
        ...


@dataclass(frozen=True)
class Levels:
    """Counts of each image at each level of score, from the highest down: [N, T] each.

    Attributes:
        normals, positives: their numbers.
        regions: detected parts of regions at the level; a defective image counts as one region.
    """

    normals: Any
    positives: Any
    regions: Any

    @property
    def images(self) -> int:
        return int(self.normals.shape[0])

    @property
    def drawable(self) -> bool:
        return bool(self.normals.sum())

    def drawn(self, weights: Column) -> Draws:
        """The curves of draws [B, N]: how often each draw contains each image."""
        return Draws(*(weights @ part for part in (self.normals, self.positives, self.regions)))


@dataclass(frozen=True)
class Draws:
    """The curves of B draws, [B, T] each: the counts of every level, and their sums."""

    normals: Column
    positives: Column
    regions: Column
    false: Column = field(init=False)
    true: Column = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "false", self.normals.cumsum(1))
        object.__setattr__(self, "true", self.positives.cumsum(1))

    def auroc(self) -> Column:
        """[B] as `Curve.auroc`; scores of one level are tied."""
        above = self.false - self.normals / 2
        pairs: Column = (self.positives * (self.false[:, -1:] - above)).sum(1)
        return pairs / (self.false[:, -1] * self.true[:, -1])

    def average_precision(self) -> Column:
        """[B] as `Curve.average_precision`; scores of one level are detected together."""
        precision = self.true / np.maximum(self.true + self.false, 1)
        found: Column = (self.positives * precision).sum(1)
        return found / self.true[:, -1]

    def f1_max(self) -> Column:
        """[B] as `Curve.f1_max`, over the thresholds between levels."""
        best: Column = (2 * self.true / (self.true[:, -1:] + self.true + self.false)).max(1)
        return best

    def aupro(self, limit: float) -> Column:
        """[B] as `Curve.aupro`."""
        overlap, end = self.regions.cumsum(1), limit * self.false[:, -1:]
        width = (end - (self.false - self.normals)).clip(0, self.normals)
        rise = self.regions * width / np.maximum(self.normals, 1)
        area: Column = (width * (overlap - self.regions + rise / 2)).sum(1) / (end * overlap[:, -1:])[:, 0]
        return area


@dataclass(frozen=True)
class Confusions:
    """The place of each image in the table of true and predicted classes, [N, K, K]: a single one each."""

    table: Column
    drawable = True

    @classmethod
    def of(cls, classes: ClassPredictions) -> Confusions:
        count = len(classes.names)
        table = np.zeros((len(classes.truth), count, count))
        table[np.arange(len(table)), classes.truth, classes.probabilities.argmax(1)] = 1
        return cls(table)

    @property
    def images(self) -> int:
        return len(self.table)

    def drawn(self, weights: Column) -> DrawnConfusions:
        return DrawnConfusions(np.tensordot(weights, self.table, 1))


@dataclass(frozen=True)
class DrawnConfusions:
    """The confusions of B draws, [B, K, K]: images of the class of a row that are said to be of that of a column."""

    table: Column
    right: Column = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "right", np.diagonal(self.table, axis1=1, axis2=2))

    def accuracy(self) -> Column:
        """[B] as `ClassPredictions.accuracy`."""
        found: Column = self.right.sum(1) / self.table.sum((1, 2))
        return found

    def balanced_accuracy(self) -> Column:
        """[B] as `ClassPredictions.balanced_accuracy`; a class that was not drawn does not count."""
        return self._mean_over(self.table.sum(2), self.right)

    def f1_macro(self) -> Column:
        """[B] as `ClassPredictions.f1_macro`."""
        return self._mean_over(self.table.sum(2) + self.table.sum(1), 2 * self.right)

    @staticmethod
    def _mean_over(images: Column, counted: Column) -> Column:
        shares: Column = (counted / np.maximum(images, 1)).sum(1) / (images > 0).sum(1)
        return shares


Figure: TypeAlias = Callable[[Draws], Column]
IMAGE_FIGURES: Mapping[str, Figure] = {
    "image-auroc": Draws.auroc,
    "image-ap": Draws.average_precision,
    "image-f1-max": Draws.f1_max,
}
PIXEL_FIGURES: Mapping[str, Figure] = {
    "pixel-auroc": Draws.auroc,
    "pixel-ap": Draws.average_precision,
    "pixel-f1-max": Draws.f1_max,
    "pixel-aupro-30": partial(Draws.aupro, limit=0.3),
    "pixel-aupro-05": partial(Draws.aupro, limit=0.05),
}
CLASS_FIGURES: Mapping[str, Callable[[DrawnConfusions], Column]] = {
    "class-accuracy": DrawnConfusions.accuracy,
    "class-balanced-accuracy": DrawnConfusions.balanced_accuracy,
    "class-f1-macro": DrawnConfusions.f1_macro,
}


@dataclass
class SharedIntervals:
    """The intervals of runs, by their predictions: the seeds of a method that draws nothing share them.

    Attributes:
        draws: number of draws.
    """

    draws: int = DRAWS
    _found: dict[Hashable, dict[str, Interval]] = field(default_factory=dict)

    def added(self, metrics: Mapping[str, MetricInfo], evaluator: Evaluator) -> dict[str, MetricInfo]:
        """The metrics of a run with confidence intervals.

        Args:
            metrics: figures by name, from the same evaluator.
            evaluator: predictions and truth of one test set.

        Returns:
            New figures. An interval is missing if the figure is undefined, if there is only one good or one defective
            image, or if the metric is not one of adbench's own.
        """
        defined = {name for name, info in metrics.items() if info.value is not None}
        pixels = bool(defined & PIXEL_FIGURES.keys())
        key = pixels, evaluator.dataset, evaluator.spec, evaluator.grid, _digest(evaluator)
        if key not in self._found:
            self._found[key] = _drawn(evaluator, self.draws, pixels=pixels)
        found = self._found[key]
        return {
            name: info.model_copy(update={"interval": found.get(name) if name in defined else None})
            for name, info in metrics.items()
        }


def _drawn(evaluator: Evaluator, draws: int, *, pixels: bool) -> dict[str, Interval]:
    """The intervals of all figures of images, of classes where a method predicts some, and, on request, of pixels."""
    labels = np.array([sample.anomalous for sample in evaluator.samples])
    found = intervals(levels_of_scores(labels, evaluator.predictions.scores), labels, IMAGE_FIGURES, draws)
    if (classes := evaluator.classes()) is not None:
        found |= intervals(Confusions.of(classes), labels, CLASS_FIGURES, draws)
    if pixels:
        levels, shown = levels_of_maps(evaluator.annotated_maps, len(evaluator.samples))
        found |= intervals(levels, shown, PIXEL_FIGURES, draws)
    return found


def _digest(evaluator: Evaluator) -> str:
    """A digest of the test images and of all scores that figures depend on: part of a key, no protection."""
    import xxhash

    given = evaluator.predictions
    digest = xxhash.xxh3_128(repr((evaluator.samples, given.geometry)).encode())
    for scores in (given.scores, *(given.patches or ()), *(() if given.classes is None else (given.classes,))):
        digest.update(repr(scores.shape).encode())
        digest.update(np.ascontiguousarray(scores).data)
    return digest.hexdigest()


def intervals(
    counts: Counts[T], defective: np.ndarray, figures: Mapping[str, Callable[[T], Column]], draws: int = DRAWS
) -> dict[str, Interval]:
    """The interval of each figure, by name.

    If all draws agree, as they do when every defect is found, the interval is one point: the test set contains no
    error.

    Args:
        counts: of N images.
        defective: [N] bool: the images that are drawn separately from the others.
        figures: functions of a draw, by name.
        draws: number of draws.

    Returns:
        An empty mapping without a defective image or a normal pixel, or if there is only one image of a kind.
    """
    from scipy.stats import bootstrap

    kinds = [np.flatnonzero(kind) for kind in (~defective, defective) if kind.any()]
    if not defective.any() or not counts.drawable or any(len(kind) < 2 for kind in kinds):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BCa may be undefined; see _interval
        result = bootstrap(
            kinds,
            lambda *taken, axis: _figures(counts, taken, figures.values()),  # noqa: ARG005
            n_resamples=draws,
            batch=max(1, _BATCH // max(len(defective), LEVELS)),
            vectorized=True,
            confidence_level=CONFIDENCE,
            method="BCa",
            random_state=np.random.default_rng(SEED),
        )
    ends = zip(*result.confidence_interval, result.bootstrap_distribution, strict=True)
    return {name: _interval(*found) for name, found in zip(figures, ends, strict=True)}


def _figures(counts: Counts[T], taken: Sequence[np.ndarray], figures: Iterable[Callable[[T], Column]]) -> Column:
    """[M, B] figures of B draws, or [M] of one draw, from the images [B, n] or [n] of each kind that it contains."""
    weights = np.sum([_weights(np.atleast_2d(kind), counts.images) for kind in taken], axis=0)
    drawn = counts.drawn(weights.astype(np.float64))
    found = np.stack([figure(drawn) for figure in figures])
    return found if taken[0].ndim == 2 else found[:, 0]


def _weights(taken: np.ndarray, images: int) -> np.ndarray:
    """[B, N] how often each of N images is in the draws [B, n]."""
    draws = len(taken)
    places = taken + images * np.arange(draws)[:, None]
    weights: np.ndarray = np.bincount(places.ravel(), minlength=draws * images).reshape(draws, images)
    return weights


def _interval(low: float, high: float, sample: Column) -> Interval:
    """An interval to 6 decimals; if BCa is undefined (equal draws, or all on one side), the quantiles of the draws."""
    if not np.isfinite([low, high]).all():
        low, high = np.quantile(sample, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return round(float(low), 6), round(float(high), 6)


def levels_of_scores(labels: np.ndarray, scores: np.ndarray) -> Levels:
    """Levels of image scores [N]: every distinct score is one, so figures are exact. Labels [N]: True for a defect."""
    from scipy.sparse import csr_array

    level = np.unique(_keys(scores), return_inverse=True)[1]
    place = np.arange(len(labels)), level
    shape = len(labels), int(level.max(initial=0)) + 1
    normals, positives = (csr_array((kind.astype(np.float64), place), shape) for kind in (~labels, labels))
    return Levels(normals, positives, positives)


def levels_of_maps(maps: Callable[[], Iterator[AnnotatedMap]], images: int) -> tuple[Levels, np.ndarray]:
    """The levels of all maps, at most `LEVELS`, with equal shares of normals, positives and regions.

    Args:
        maps: returns an iterator over the images; called twice.
        images: approximate number of images.

    Returns:
        The levels, and [N] bool: whether an image shows a defect.
    """
    edges = _edges(maps(), images)
    rows = [_row(_keys(scores), truth, edges) for scores, truth in maps()]
    levels = Levels(*(np.array(part) for part in zip(*rows, strict=True)))
    return levels, levels.positives.any(axis=1)


def _keys(scores: np.ndarray) -> np.ndarray:
    """The keys of scores of any shape, as float32; see `keys_of`."""
    return keys_of(np.asarray(scores, np.float32)).ravel()


def _row(keys: np.ndarray, truth: Truth, edges: np.ndarray) -> tuple[Column, Column, Column]:
    """The normals, positives and parts of regions of one map at each level."""
    level = np.searchsorted(edges, keys)
    found = level[truth.positions]
    counted = np.delete(level, truth.ignored) if truth.ignored.size else level
    everything, positives = (np.bincount(each, minlength=len(edges)).astype(np.float64) for each in (counted, found))
    return everything - positives, positives, np.bincount(found, 1 / truth.sizes, len(edges)).astype(np.float64)


def _edges(maps: Iterator[AnnotatedMap], images: int) -> np.ndarray:
    """The last key of each level, ascending, from a sample of pixels of each image."""
    most = max(1, _SEEN // max(1, images))
    sampled = [part for scores, truth in maps for part in _sample(_keys(scores), truth, most)]
    keys, *shares = (np.concatenate(column) for column in zip(*sampled, strict=True))
    order = keys.argsort()
    held = np.sum([share[order].cumsum() / (share.sum() or 1) for share in shares], axis=0)
    count = max(2, min(LEVELS, _CELLS // max(1, images)))
    ends = held.searchsorted(np.linspace(0, held[-1], count + 1)[1:-1])
    return np.append(np.unique(keys[order][ends]), np.uint32(0xFFFFFFFF))


def _sample(keys: np.ndarray, truth: Truth, most: int) -> Iterator[tuple[np.ndarray, ...]]:
    """A sample of a map: at most `most` keys of each class, with the normals, positives and regions of each key."""
    here = truth.positions
    for chosen, normal, size in ((np.delete(keys, truth.marked), 1, np.inf), (keys[here], 0, truth.sizes)):
        step = 1 + len(chosen) // most
        part = chosen[::step]
        regions = np.broadcast_to(step / size, len(chosen))[::step]
        yield part, np.full(len(part), step * normal), np.full(len(part), step - step * normal), regions
