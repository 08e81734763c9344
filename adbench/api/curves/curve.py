"""Every threshold at once: ROC, precision-recall and per-region-overlap (PRO) curves, exactly and in bounded memory.

All figures follow from what happens at the distinct scores of the *positives*. Between two of them a curve is a
horizontal piece (the normals strictly between) and a diagonal (the normals tied with the lower one). So one table says
everything; a row holds a positive score, its positives, their region weight, the normals above and the normals tied.
`threshold_table` makes that table piece by piece; `curve_builder` makes figures
and a few thousand points of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from adbench.api.curves.curve_builder import NUMPY, STEPS, CurveBuilder
from adbench.api.curves.threshold_table import JudgedMap, Normals, Pixels, Slice, ThresholdTable, keys_of
from adbench.api.curves.truth import Truth
from adbench.errors import ContractError, UsageError

if TYPE_CHECKING:
    from adbench.api.curves.truth import MaskedMap


@dataclass(frozen=True)
class Curve:
    """All thresholds on the scores of images or pixels, from the highest down.

    A sample is detected where ``score >= threshold``; equal scores are detected together. The figures are None, and the
    points are empty, where one of the two classes is missing: see `undefined`.

    Attributes:
        unit: what was scored, ``"image"`` or ``"pixel"``.
        positives: number of anomalous samples.
        negatives: number of normal samples.
        auroc: area under the ROC curve; an anomalous and a normal sample of equal score count one half.
        average_precision: sum over the thresholds of precision times the step in recall; no interpolation.
        f1_max: the highest F1 of all thresholds.
        best_threshold: the highest threshold that reaches `f1_max`.
        false_positives: [M] int64, normals detected at the points that were kept; ascends from 0 to `negatives`.
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
    def of(cls, unit: str, trace: CurveBuilder) -> Curve:
        """What a finished trace found."""
        positives, negatives = trace.positives, trace.negatives
        if not positives or not negatives:
            nothing = np.zeros(0)
            return cls(unit, positives, negatives, None, None, None, None, nothing, nothing, nothing, nothing)
        points, regions = trace.points(), round(trace.weight)
        return cls(
            unit,
            positives,
            negatives,
            auroc=trace.pairs / (2 * positives * negatives),
            average_precision=trace.precision / positives,
            f1_max=trace.best[0],
            best_threshold=trace.best[1],
            false_positives=points.false.astype(np.int64),
            true_positives=points.true.astype(np.int64),
            overlap=points.weight / regions,
            area=points.area / regions,
        )

    @property
    def undefined(self) -> str:
        """Why there are no figures; empty where there are."""
        missing = "anomalous" if not self.positives else "normal" if not self.negatives else ""
        return missing and f"the test set has no {missing} {self.unit}"

    def aupro(self, limit: float) -> float | None:
        """Area under the per-region-overlap curve up to a false positive rate, divided by that rate.

        Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, over all thresholds; the curve is linear
        between neighbouring scores, and so at the limit. Exact, although few points were kept.

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
        """([M] false positive rate, [M] true positive rate), to be drawn with straight lines."""
        return self.false_positives / self.negatives, self.true_positives / self.positives

    def pro(self) -> tuple[np.ndarray, np.ndarray]:
        """([M] false positive rate, [M] overlap), to be drawn with straight lines."""
        return self.false_positives / self.negatives, self.overlap.clip(max=1.0)


def _step_of(limit: float) -> int:
    """How many steps of the false positive rate a limit is.

    Raises:
        UsageError: not a whole number of them.
    """
    step = round(limit * STEPS) if 0 < limit <= 1 else 0  # of NaN there is no whole number
    if not step or abs(limit * STEPS - step) > 1e-9:
        raise UsageError(f"AUPRO: the limit {limit} is not a multiple of {1 / STEPS} in (0, 1]; choose one that is")
    return step


def curve_of_scores(labels: np.ndarray, scores: np.ndarray, *, every: bool = False) -> Curve:
    """The curve of image scores.

    Args:
        labels: [N] bool, True for an anomalous image.
        scores: [N], higher is more anomalous; ranked as float32.
        every: whether every corner of the curve is kept, or those around the steps of either rate.

    Raises:
        ContractError: the lengths differ, or a score is not finite (its image is named by its position).
    """
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float32)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ContractError("evidence", f"one score for each label; there are {scores.shape} for {labels.shape}")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise ContractError("evidence", f"scores are finite; that of image {wrong[0]} is {scores[wrong[0]]}")
    keys, trace = keys_of(scores), CurveBuilder(NUMPY, int(labels.sum()), int((~labels).sum()), every=every)
    if not trace.finished:
        rungs, counts = np.unique(keys[labels], return_counts=True)
        normals = Normals(rungs)
        normals.add_keys(keys[~labels])
        counts = counts.astype(np.float64)
        trace.descend(ThresholdTable(rungs, counts, counts), *normals.counts())
    return Curve.of("image", trace)


def curve_of_maps(maps: Callable[[], Iterator[MaskedMap]]) -> Curve:
    """The curve of the pixels of all maps. Regions are the 8-connected parts of each image's mask.

    Args:
        maps: starts a walk over the images: anomaly map [H, W], ranked as float32, and mask [H, W] bool. It is called
            at least twice, once more for every slice of `HELD_POSITIVES`, and each walk must be the same.

    Raises:
        ContractError: a map has another shape than its mask or holds a value that is not finite (the image is named by
            its position), or a walk differs from the first one.
    """
    return curve_of_judged(lambda: ((scores, Truth.of(np.asarray(mask, dtype=bool))) for scores, mask in maps()))


def curve_of_judged(maps: Callable[[], Iterator[JudgedMap]], *, every: bool = False) -> Curve:
    """The same with a `Truth` in place of each mask: whoever keeps it need not look for its regions again."""
    pixels, ahead = Pixels(maps), Slice()
    for scores, truth in pixels.walk():
        ahead.add(scores, truth)
    trace = CurveBuilder(NUMPY, *pixels.counts(), every=every)
    while not trace.finished:
        ahead = _next_slice(ahead, pixels, trace)
    return Curve.of("pixel", trace)


def _next_slice(here: Slice, pixels: Pixels, trace: CurveBuilder) -> Slice:
    """Take the trace down one slice, with one walk that also collects the slice below. What was held is let go."""
    ladder = here.ladder()
    normals, ahead = Normals(ladder.keys, here.start), Slice(int(ladder.keys[-1]) + 1)
    for scores, truth in pixels.walk():
        normals.add(scores, truth)
        ahead.add(scores, truth)
    trace.descend(ladder, *normals.counts())
    return ahead
