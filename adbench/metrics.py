"""The exact metrics of adbench as plain functions on arrays: `from adbench.metrics import auroc, aupro`.

Every threshold is looked at: nothing is binned, sampled, clamped or rescaled. The figures are those of adbench's own
records (`adbench run` calls the same code), and of scikit-learn where it has them.

- Arrays are NumPy's, torch's (of any device, with or without a gradient) or lists of numbers.
- Labels and masks are booleans, or 0 (normal) and 1 (anomalous); a higher score is more anomalous.
- A figure is None where one of the two classes is missing: it is undefined then, and neither 0 nor NaN.
- Equal scores are detected together. NaN and infinity are refused.

Each function raises `adbench.UsageError`, which says what is wrong with an input and how to fix it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from adbench.api.arrays import Codes, as_float32, checked_maps, checked_pair, codes_for, finite_of, truth_of
from adbench.api.curves.classes import ClassPredictions
from adbench.api.curves.curve import Curve, curve_of_annotated, curve_of_scores
from adbench.api.curves.regions import Region, RegionTruth, curve_of_regions
from adbench.api.curves.threshold_table import AnnotatedMap
from adbench.api.curves.truth import Truth
from adbench.errors import ContractError, UsageError

__all__ = [
    "ClassPredictions",
    "Curve",
    "Region",
    "aupro",
    "auroc",
    "average_precision",
    "curve_of",
    "f1_max",
    "pixel_curve_of",
    "pro_curve",
    "roc_curve",
    "spro",
]

Numbers: TypeAlias = Any
"""A NumPy array, a torch tensor, or a list of numbers."""

Pairs: TypeAlias = Iterable[tuple[Numbers, Numbers]] | Callable[[], Iterator[tuple[Numbers, Numbers]]]
"""Anomaly map and mask of each image: what can be walked over again and again, or a function that starts a walk."""


def auroc(labels: Numbers, scores: Numbers) -> float | None:
    """Area under the ROC curve: the chance that an anomalous sample scores higher than a normal one; a tie counts half.

    Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.

    Args:
        labels: of any shape, such as [N] for images or [N, H, W] for pixels.
        scores: of the same shape.

    Returns:
        A figure from 0 to 1, or None where there is no anomalous or no normal sample.

    Raises:
        UsageError: the shapes differ, a label is neither 0 nor 1, or a score is not finite.

    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auroc([0, 1], [0.5, 0.5])
    0.5
    >>> auroc([0, 0], [0.1, 0.2]) is None
    True
    """
    return curve_of(labels, scores).auroc


def average_precision(labels: Numbers, scores: Numbers) -> float | None:
    """Average precision: the sum over all thresholds of precision times the step in recall, without interpolation.

    Args:
        labels: of any shape.
        scores: of the same shape.

    Returns:
        A figure from 0 to 1, or None where there is no anomalous or no normal sample.

    Raises:
        UsageError: as for `auroc`.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    return curve_of(labels, scores).average_precision


def f1_max(labels: Numbers, scores: Numbers) -> float | None:
    """The highest F1 of any threshold: an upper bound, since the threshold is chosen on the samples themselves.

    `curve_of(labels, scores).best_threshold` is the highest threshold that reaches it.

    Args:
        labels: of any shape.
        scores: of the same shape.

    Returns:
        A figure from 0 to 1, or None where there is no anomalous or no normal sample.

    Raises:
        UsageError: as for `auroc`.

    >>> f1_max([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.8
    """
    return curve_of(labels, scores).f1_max


def roc_curve(labels: Numbers, scores: Numbers, *, every: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve: false and true positive rate of every threshold, from (0, 0) to (1, 1).

    With straight lines between its points it is exact: the area under them is `auroc`.

    Args:
        labels: of any shape.
        scores: of the same shape.
        every: whether every corner is wanted, or at most some 4,000: the ones around each thousandth of either rate.

    Returns:
        ([M] false positive rate, [M] true positive rate), float64, both ascending.

    Raises:
        UsageError: as for `auroc`; or there is no curve, because there is no anomalous or no normal sample.

    >>> false, true = roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> false.tolist(), true.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    curve = _drawable(curve_of(labels, scores, every=every), "ROC")
    return _without_repeats(*curve.roc())


def aupro(maps: Numbers | Pairs, masks: Numbers | None = None, limit: float = 0.3) -> float | None:
    """Area under the per-region-overlap curve up to a false positive rate, divided by that rate.

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021. Regions are the 8-connected parts of each mask,
    and each counts alike, however small. The false positive rate is over all normal pixels of all images. The curve is
    linear between neighbouring scores, and so at the limit. docs/aupro-conventions.md compares this with others' AUPRO.

    Args:
        maps: anomaly maps, [N, H, W], or a list of [H, W] whose sizes may differ. Without masks: pairs of a map and its
            mask, see `pixel_curve_of`.
        masks: the same of masks, also those of normal images.
        limit: the highest false positive rate, a multiple of 0.001 in (0, 1].

    Returns:
        A figure from 0 to 1, or None where no pixel is anomalous or none is normal.

    Raises:
        UsageError: as for `pixel_curve_of`, or another limit.

    >>> mask = np.zeros((4, 4), dtype=bool)
    >>> mask[:2, :2] = True
    >>> aupro([mask + 0.5], [mask])
    1.0
    >>> round(aupro([np.eye(4)], [mask], limit=0.5), 4)
    0.4833
    >>> aupro([np.eye(4)], [np.zeros((4, 4))]) is None
    True
    """
    return pixel_curve_of(maps, masks).aupro(limit)


def spro(maps: Numbers, regions: Sequence[Sequence[Region]], limit: float = 0.05) -> float | None:
    """Area under the saturated per-region-overlap curve up to a false positive rate, divided by that rate.

    Bergmann et al., "Beyond Dents and Scratches", IJCV 2022. The overlap of a region is min(detected pixels divided by
    its saturation area, 1), and each region of each image counts alike. The false positive rate is over all pixels of
    all images that lie in no region. Where the regions are the 8-connected parts of a mask and saturation is all of
    their pixels, this is `aupro`.

    Args:
        maps: anomaly maps, [N, H, W], or a list of [H, W] whose sizes may differ.
        regions: for each map a list, empty for a normal image, of regions: ``Region.of(mask, saturation)``.
        limit: the highest false positive rate, a multiple of 0.001 in (0, 1].

    Returns:
        A figure from 0 to 1, or None where there is no region, or no pixel outside of them.

    Raises:
        UsageError: there is not one list for each map, a region has another size than its map, a score is not finite,
            or another limit.

    >>> mask = np.zeros((4, 4), dtype=bool)
    >>> mask[:2, :2] = True
    >>> spro([mask + 0.5], [[Region.of(mask, 3)]])
    1.0
    >>> round(spro([np.eye(4)], [[Region.of(mask, 2)]], limit=0.5), 4)
    0.8333
    >>> spro([np.eye(4)], [[]]) is None
    True
    """
    truths = _region_truths(list(maps), list(regions))
    pairs = checked_maps(maps, [_union(truth) for truth in truths])
    codes = codes_for([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    ranked = [some if codes is None else codes.of(some) for some, _ in pairs]
    return curve_of_regions(lambda: zip(ranked, truths, strict=True)).aupro(limit)


def _region_truths(maps: list[Any], regions: list[Sequence[Region]]) -> list[RegionTruth]:
    """The regions of each map.

    Raises:
        UsageError: there is not one list for each map, or a region has another size than its map.
    """
    if len(maps) != len(regions):
        raise UsageError(f"there is one list of regions for each map; there are {len(regions)} for {len(maps)} maps")
    truths = [RegionTruth(tuple(np.shape(some)), list(own)) for some, own in zip(maps, regions, strict=True)]
    for image, truth in enumerate(truths):
        for region in truth.regions:
            if region.shape != truth.shape:
                raise UsageError(f"map {image} has shape {truth.shape}, a region of it {region.shape}; resize the map")
    return truths


def _union(truth: RegionTruth) -> np.ndarray:
    """[H, W] bool: the pixels of all regions."""
    mask = np.zeros(truth.shape, dtype=bool)
    mask.ravel()[truth.union] = True
    return mask


def pro_curve(
    maps: Numbers | Pairs, masks: Numbers | None = None, *, every: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The per-region-overlap curve: false positive rate and mean overlap of every threshold, from (0, 0) to (1, 1).

    Args:
        maps: as for `aupro`.
        masks: as for `aupro`.
        every: whether every corner is wanted, of which there may be twice as many as anomalous pixels, or at most some
            4,000: the ones around each thousandth of either rate. False keeps memory bounded where pairs are given.

    Returns:
        ([M] false positive rate, [M] overlap: the detected part of a region, mean over all regions), float64.

    Raises:
        UsageError: as for `pixel_curve_of`; or there is no curve, because no pixel is anomalous or none is normal.

    >>> mask = np.zeros((4, 4), dtype=bool)
    >>> mask[:2, :2] = True
    >>> false, overlap = pro_curve([mask + 0.5], [mask])
    >>> false.tolist(), overlap.tolist()
    ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    """
    curve = _drawable(pixel_curve_of(maps, masks, every=every), "PRO")
    return _without_repeats(*curve.pro())


def curve_of(labels: Numbers, scores: Numbers, *, every: bool = False) -> Curve:
    """All thresholds on some scores at once: `auroc`, `average_precision`, `f1_max`, `best_threshold`, `roc()`.

    Args:
        labels: of any shape.
        scores: of the same shape.
        every: whether the curve keeps every corner, see `roc_curve`.

    Raises:
        UsageError: as for `auroc`.

    >>> curve = curve_of([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> curve.auroc, curve.f1_max, curve.best_threshold
    (0.75, 0.8, 0.35)
    """
    truth = truth_of(labels, "labels", "labels come first, scores second")
    found = finite_of(scores, "scores")
    if truth.shape != found.shape:
        raise UsageError(f"there is one score for each label; there are {found.shape} scores for {truth.shape} labels")
    codes = codes_for([found], [truth])
    ranked = found if codes is None else codes.of(found)
    curve = replace(curve_of_scores(truth.ravel(), ranked.ravel(), every=every), unit="sample")
    best = curve.best_threshold
    return curve if codes is None or best is None else replace(curve, best_threshold=codes.score(best))


def pixel_curve_of(maps: Numbers | Pairs, masks: Numbers | None = None, *, every: bool = False) -> Curve:
    """All thresholds on the pixels of anomaly maps at once: what `curve_of` has, `aupro(limit)` and `pro()`.

    Maps and masks that are given apart are ranked in their own precision. Pairs take bounded memory, however many
    there are, and are ranked as float32, as adbench's own maps are; they are walked over twice, and once more for every
    million anomalous pixels.

    Args:
        maps: anomaly maps, [N, H, W], or a list of [H, W] whose sizes may differ. Without masks: pairs of a map and its
            mask (a list, or any iterable that can be walked over again), or a function that starts a walk.
        masks: the same of masks, also those of normal images.
        every: whether the curve keeps every corner, see `pro_curve`.

    Raises:
        UsageError: a map has no mask, another size than its mask, or a score that is not finite (in a walk also: too
            large for float32); a mask is not 0 and 1; pairs cannot be walked over again, or are others each time.

    >>> def pairs():
    ...     for seed in range(3):
    ...         scores = np.random.default_rng(seed).random((8, 8), dtype=np.float32)
    ...         yield scores, scores > 0.9
    >>> curve = pixel_curve_of(pairs)
    >>> curve.auroc, curve.aupro(0.05)
    (1.0, 1.0)
    """
    walk, codes = (_in_turn(maps), None) if masks is None else _apart(maps, masks)
    try:
        curve = curve_of_annotated(walk, every=every)
    except ContractError as error:
        raise UsageError(f"maps: {error.rule}") from None
    best = curve.best_threshold
    return curve if codes is None or best is None else replace(curve, best_threshold=codes.score(best))


def _apart(maps: Any, masks: Any) -> tuple[Callable[[], Iterator[AnnotatedMap]], Codes | None]:
    """A walk over maps and masks that are held in memory, and the codes that stand for their scores, if any do."""
    pairs = checked_maps(maps, masks)
    scores, wholes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    codes, truths = codes_for(scores, wholes), [Truth.of(whole) for whole in wholes]
    ranked = (lambda some: some) if codes is None else codes.of
    return lambda: ((ranked(some), truth) for some, truth in zip(scores, truths, strict=True)), codes


def _in_turn(pairs: Any) -> Callable[[], Iterator[AnnotatedMap]]:
    """A walk over pairs, of which one is held at a time.

    Raises:
        UsageError: they cannot be walked over again.
    """
    start = pairs if callable(pairs) else lambda: pairs
    if isinstance(pairs, Iterator) or not (callable(pairs) or isinstance(pairs, Iterable)):
        raise UsageError(
            "maps are walked over at least twice, and an iterator is used up after the first time;"
            " give a list of pairs (map, mask), or a function that starts a walk"
        )
    return lambda: (_annotated_map(pair, image) for image, pair in enumerate(_started(start)))


def _started(start: Callable[[], Any]) -> Iterator[Any]:
    """One walk over pairs.

    Raises:
        UsageError: the function gives nothing that can be walked over.
    """
    walk = start()
    if not isinstance(walk, Iterable):
        raise UsageError(f"the function of the maps starts no walk: it gives {walk!r}; yield pairs (map, mask) in it")
    return iter(walk)


def _annotated_map(pair: Any, image: int) -> AnnotatedMap:
    """Scores [H, W] float32 and the truth of one pair."""
    try:
        scores, mask = pair
    except (TypeError, ValueError):
        raise UsageError(f"number {image} of the maps is no pair (map, mask); or give the masks apart") from None
    found, truth = checked_pair(scores, mask, image)
    return as_float32(found, image), Truth.of(truth)


def _drawable(curve: Curve, name: str) -> Curve:
    """The curve itself.

    Raises:
        UsageError: there is none, because one of the two classes is missing.
    """
    if curve.undefined:
        missing = "anomalous" if not curve.positives else "normal"
        raise UsageError(f"there is no {name} curve without a {missing} {curve.unit}; both classes are needed")
    return curve


def _without_repeats(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of a line, each once."""
    moved = np.append(True, (np.diff(x) != 0) | (np.diff(y) != 0))
    return x[moved], y[moved]
