"""ROC, precision-recall and per-region-overlap (PRO) curves over all thresholds, exactly and in bounded memory.

All figures follow from the distinct scores of the *positives*. Between two of them a curve is a horizontal piece (the
normals strictly between) and a diagonal (the normals tied with the lower one). So one table is enough; a row holds a
positive score, its positives, their region weight, the normals above and the tied normals. `threshold_table` makes the
table in pieces; `curve_builder` makes figures and a few thousand points of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from adbench.api.curves.curve_builder import NUMPY, STEPS, CurveBuilder
from adbench.api.curves.threshold_table import AnnotatedMap, Normals, Pixels, Slice, ThresholdTable, keys_of
from adbench.api.curves.truth import Truth
from adbench.errors import ContractError, UsageError

if TYPE_CHECKING:
    from adbench.api.curves.truth import MaskedMap


@dataclass(frozen=True)
class Curve:
    """The curve of all thresholds on the scores of images or pixels, from the highest down.

    A sample is detected if ``score >= threshold``; equal scores are detected together. The figures are None, and the
    points are empty, if one of the two classes is missing: see `undefined`.

    Attributes:
        unit: the kind of samples, ``"image"`` or ``"pixel"``.
        positives: number of anomalous samples.
        negatives: number of normal samples.
        auroc: area under the ROC curve; an anomalous and a normal sample of equal score count one half.
        average_precision: sum over the thresholds of precision times the step in recall; no interpolation.
        f1_max: the highest F1 of all thresholds.
        best_threshold: the highest threshold that reaches `f1_max`.
        false_positives: [M] int64, normals detected at the stored points; ascends from 0 to `negatives`.
        true_positives: [M] int64, anomalous samples detected.
        overlap: [M] float64, the detected part of a region, mean over all regions. An image counts as one region.
        area: [M] float64, area under `overlap` over `false_positives`, left of the point.
    """

    unit: str
    positives: int
    negatives: int
    auroc: float | None
    average_precision: float | None
    f1_max: float | None
    best_threshold: float | None
    false_positives: np.ndarray
    true_positives: np.ndarray
    overlap: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, unit: str, builder: CurveBuilder) -> Curve:
        """The curve of a finished builder."""
        positives, negatives = builder.positives, builder.negatives
        if not positives or not negatives:
            nothing = np.zeros(0)
            return cls(unit, positives, negatives, None, None, None, None, nothing, nothing, nothing, nothing)
        points, regions = builder.points(), round(builder.weight)
        return cls(
            unit,
            positives,
            negatives,
            auroc=builder.pairs / (2 * positives * negatives),
            average_precision=builder.precision / positives,
            f1_max=builder.best[0],
            best_threshold=builder.best[1],
            false_positives=points.false.astype(np.int64),
            true_positives=points.true.astype(np.int64),
            overlap=points.weight / regions,
            area=points.area / regions,
        )

    @property
    def undefined(self) -> str:
        """The reason why figures are undefined; empty if they are defined."""
        missing = "anomalous" if not self.positives else "normal" if not self.negatives else ""
        return missing and f"the test set has no {missing} {self.unit}"

    def aupro(self, limit: float) -> float | None:
        """Area under the per-region-overlap curve up to a false positive rate, divided by that rate.

        Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, over all thresholds; the curve is linear
        between neighbouring scores, and so at the limit. It is exact, although few points are stored.

        Args:
            limit: the highest false positive rate, a multiple of 0.001 in (0, 1].

        Raises:
            UsageError: another limit.
        """
        step = _step_of(limit)
        if self.undefined:
            return None
        end = step * self.negatives / STEPS
        last = int(np.searchsorted(self.false_positives, end, side="right")) - 1
        area, rest = self.area[last], end - self.false_positives[last]
        if rest > 0:
            width, rise = np.diff(self.false_positives)[last], np.diff(self.overlap)[last]
            area += rest * (self.overlap[last] + rest * rise / width / 2)
        return min(float(area / end), 1.0)  # parts of a region may add up to a little more than one

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """The ROC curve: ([M] false positive rate, [M] true positive rate), with straight lines between points."""
        return self.false_positives / self.negatives, self.true_positives / self.positives

    def pro(self) -> tuple[np.ndarray, np.ndarray]:
        """The PRO curve: ([M] false positive rate, [M] overlap), with straight lines between points."""
        return self.false_positives / self.negatives, self.overlap.clip(max=1.0)


def _step_of(limit: float) -> int:
    """The number of steps of the false positive rate in a limit.

    Raises:
        UsageError: the number is not whole.
    """
    step = round(limit * STEPS) if 0 < limit <= 1 else 0  # NaN cannot be rounded
    if not step or abs(limit * STEPS - step) > 1e-9:
        raise UsageError(f"AUPRO: the limit {limit} is not a multiple of {1 / STEPS} in (0, 1]; choose one that is")
    return step


def curve_of_scores(labels: np.ndarray, scores: np.ndarray, *, every: bool = False) -> Curve:
    """The curve of image scores.

    Args:
        labels: [N] bool, True for an anomalous image.
        scores: [N], higher is more anomalous; ranked as float32.
        every: store every corner of the curve, not only those around the steps of either rate.

    Raises:
        ContractError: the lengths differ, or a score is not finite (the message gives the position of its image).
    """
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float32)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ContractError("evidence", f"one score for each label; there are {scores.shape} for {labels.shape}")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise ContractError("evidence", f"scores are finite; that of image {wrong[0]} is {scores[wrong[0]]}")
    keys, builder = keys_of(scores), CurveBuilder(NUMPY, int(labels.sum()), int((~labels).sum()), every=every)
    if not builder.finished:
        thresholds, counts = np.unique(keys[labels], return_counts=True)
        normals = Normals(thresholds)
        normals.add_keys(keys[~labels])
        counts = counts.astype(np.float64)
        builder.descend(ThresholdTable(thresholds, counts, counts), *normals.counts())
    return Curve.of("image", builder)


def curve_of_maps(maps: Callable[[], Iterator[MaskedMap]]) -> Curve:
    """The curve of the pixels of all maps. Regions are the 8-connected parts of each image's mask.

    Args:
        maps: returns an iterator over the images: anomaly map [H, W], ranked as float32, and mask [H, W] bool. It is
            called at least twice, once more for every slice of `HELD_POSITIVES`, and each pass must be the same.

    Raises:
        ContractError: a map has another shape than its mask or holds a value that is not finite (the message gives the
            position of the image), or a pass differs from the first one.
    """
    return curve_of_annotated(lambda: ((scores, Truth.of(np.asarray(mask, dtype=bool))) for scores, mask in maps()))


def curve_of_annotated(maps: Callable[[], Iterator[AnnotatedMap]], *, every: bool = False) -> Curve:
    """The curve of the pixels of all maps, with a `Truth` for each mask, which remembers its regions."""
    pixels, upcoming = Pixels(maps), Slice()
    for scores, truth in pixels.walk():
        upcoming.add(scores, truth)
    builder = CurveBuilder(NUMPY, *pixels.counts(), every=every)
    while not builder.finished:
        upcoming = _next_slice(upcoming, pixels, builder)
    return Curve.of("pixel", builder)


def _next_slice(here: Slice, pixels: Pixels, builder: CurveBuilder) -> Slice:
    """Extend the curve by one slice, in one pass that also collects the next slice; the current slice is emptied."""
    table = here.table()
    normals, upcoming = Normals(table.keys, here.start), Slice(int(table.keys[-1]) + 1)
    for scores, truth in pixels.walk():
        normals.add(scores, truth)
        upcoming.add(scores, truth)
    builder.descend(table, *normals.counts())
    return upcoming
