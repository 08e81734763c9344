"""Every threshold at once: ROC, precision-recall and per-region-overlap (PRO) curves, exactly and in bounded memory.

All figures follow from what happens at the distinct scores of the *positives*. Between two of them a curve is a
horizontal piece (the normals strictly between) and a diagonal (the normals tied with the lower one). So one table says
everything; a row holds a positive score, its positives, their region weight, the normals above and the normals tied.
`adbench.api.ladder` makes that table piece by piece; here it becomes figures and a few thousand points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from adbench.api.ladder import Ladder, Normals, Pixels, Slice, keys_of, score_of
from adbench.errors import ContractError, UsageError

if TYPE_CHECKING:
    from adbench.api.metric import MaskedMap

BLOCK = 1 << 17
"""Rows of the table worked on at once."""
STEPS = 1000
"""Curves keep the points around this many steps of either rate: limits of `Curve.aupro` are multiples of 1 / STEPS."""


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
        step = round(limit * STEPS)
        if not 1 <= step <= STEPS or abs(limit * STEPS - step) > 1e-9:
            raise UsageError(f"AUPRO: the limit {limit} is not a multiple of {1 / STEPS} in (0, 1]; choose one that is")
        if self.undefined:
            return None
        end = step * self.negatives / STEPS
        last = int(np.searchsorted(self.false_positives, end, side="right")) - 1
        area, rest = self.area[last], end - self.false_positives[last]
        if rest > 0:
            width, rise = np.diff(self.false_positives)[last], np.diff(self.overlap)[last]
            area += rest * (self.overlap[last] + rest * rise / width / 2)
        return float(area / end)

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """([M] false positive rate, [M] true positive rate), to be drawn with straight lines."""
        return self.false_positives / self.negatives, self.true_positives / self.positives

    def pro(self) -> tuple[np.ndarray, np.ndarray]:
        """([M] false positive rate, [M] overlap), to be drawn with straight lines."""
        return self.false_positives / self.negatives, self.overlap


def curve_of_scores(labels: np.ndarray, scores: np.ndarray) -> Curve:
    """The curve of image scores.

    Args:
        labels: [N] bool, True for an anomalous image.
        scores: [N], higher is more anomalous; ranked as float32.

    Raises:
        ContractError: the lengths differ, or a score is not finite (its image is named by its position).
    """
    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float32)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ContractError("evidence", f"one score for each label; there are {scores.shape} for {labels.shape}")
    wrong = np.flatnonzero(~np.isfinite(scores))
    if wrong.size:
        raise ContractError("evidence", f"scores are finite; that of image {wrong[0]} is {scores[wrong[0]]}")
    keys, trace = keys_of(scores), _Trace("image", positives=int(labels.sum()), negatives=int((~labels).sum()))
    if not trace.finished:
        rungs, counts = np.unique(keys[labels], return_counts=True)
        normals = Normals(rungs)
        normals.add(keys[~labels])
        trace.descend(Ladder(rungs, counts, counts.astype(np.float64)), *normals.counts())
    return trace.curve()


def curve_of_maps(maps: Callable[[], Iterator[MaskedMap]]) -> Curve:
    """The curve of the pixels of all maps. Regions are the 8-connected parts of each image's mask.

    Args:
        maps: starts a walk over the images: anomaly map [H, W], ranked as float32, and mask [H, W] bool. It is called
            at least twice, once more for every slice of `HELD_POSITIVES`, and each walk must be the same.

    Raises:
        ContractError: a map has another shape than its mask or holds a value that is not finite (the image is named by
            its position), or a walk differs from the first one.
    """
    pixels, ahead = Pixels(maps), Slice()
    for keys, mask in pixels.walk():
        ahead.add(keys, mask)
    trace = _Trace("pixel", *pixels.counts())
    while not trace.finished:
        ahead = _next_slice(ahead, pixels, trace)
    return trace.curve()


def _next_slice(here: Slice, pixels: Pixels, trace: _Trace) -> Slice:
    """Take the trace down one slice, with one walk that also collects the slice below. What was held is let go."""
    ladder = here.ladder()
    normals, ahead = Normals(ladder.keys, here.start), Slice(int(ladder.keys[-1]) + 1)
    for keys, mask in pixels.walk():
        normals.add(keys[~mask])
        ahead.add(keys, mask)
    trace.descend(ladder, *normals.counts())
    return ahead


@dataclass
class _Trace:
    """Goes down the thresholds, adds the figures up and keeps the points of the curve.

    Attributes:
        true: positives detected so far.
        false: normals detected so far.
        weight: regions detected so far, in parts.
        area: the area under `weight` over `false`.
        pairs: twice the pairs of a positive and a normal that are in order; a tie counts once. An exact integer.
        precision: the precision at each positive, added up.
        best: the highest F1 and its threshold.
        points: the corners that were kept: false, true, weight, area.
    """

    unit: str
    positives: int
    negatives: int
    true: int = 0
    false: int = 0
    weight: float = 0.0
    area: float = 0.0
    pairs: int = 0
    precision: float = 0.0
    best: tuple[float, float] = (0.0, np.inf)
    points: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.true == self.positives or not self.negatives

    def descend(self, ladder: Ladder, lower: np.ndarray, same: np.ndarray) -> None:
        """Take the rungs in turn. Of normals [K] `lower` were passed since the ladder before, [K] `same` are tied."""
        before = self.false
        for start in range(0, len(lower), BLOCK):
            block = slice(start, start + BLOCK)
            above = before + lower[block]
            self._add(Ladder(*(column[block] for column in ladder)), above, above + same[block])

    def _add(self, ladder: Ladder, above: np.ndarray, false: np.ndarray) -> None:
        """`above` [K]: normals above the threshold, `false` [K]: with those at it."""
        true = self.true + np.cumsum(ladder.counts)
        weight = self.weight + np.cumsum(ladder.weights)
        self.pairs += int((ladder.counts * (2 * self.negatives - above - false)).sum())
        self.precision += float((ladder.counts * true / (true + false)).sum())
        f1 = 2 * true / (self.positives + true + false)
        top = int(f1.argmax())
        if f1[top] > self.best[0]:
            self.best = float(f1[top]), score_of(ladder.keys[top])
        # the corners of the curves: each rung ends a horizontal piece at the height before it, then a diagonal
        self._keep(
            _in_turn(above, false),
            _in_turn(true - ladder.counts, true),
            _in_turn(np.append(self.weight, weight[:-1]), weight),
        )
        self.true, self.false, self.weight = int(true[-1]), int(false[-1]), float(weight[-1])

    def _keep(self, false: np.ndarray, true: np.ndarray, weight: np.ndarray) -> None:
        """Keep of these corners those around the steps of either rate, and the first and the last."""
        before = np.append(self.weight, weight[:-1])
        area = self.area + np.cumsum(np.diff(false, prepend=self.false) * (before + weight) / 2)
        self.area = float(area[-1])
        kept = np.union1d(_around_steps(false, self.negatives), _around_steps(true, self.positives))
        self.points.append((false[kept], true[kept], weight[kept], area[kept]))

    def curve(self) -> Curve:
        if not self.positives or not self.negatives:
            nothing = np.zeros(0)
            figures = None, None, None, None
            return Curve(self.unit, self.positives, self.negatives, *figures, nothing, nothing, nothing, nothing)
        rest = (self.negatives - self.false) * self.weight  # beyond the last positive everything is detected
        start, end = (0, 0, 0, 0), (self.negatives, self.positives, self.weight, self.area + rest)
        false, true, weight, area = (np.hstack(column) for column in zip(start, *self.points, end, strict=True))
        return Curve(
            self.unit,
            self.positives,
            self.negatives,
            auroc=self.pairs / (2 * self.positives * self.negatives),
            average_precision=self.precision / self.positives,
            f1_max=self.best[0],
            best_threshold=self.best[1],
            false_positives=false,
            true_positives=true,
            overlap=weight / round(self.weight),
            area=area / round(self.weight),
        )


def _in_turn(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[2 K] first[0], second[0], first[1], ..."""
    return np.stack([first, second], axis=1).ravel()


def _around_steps(detected: np.ndarray, total: int) -> np.ndarray:
    """Where `detected` [M] is the last time at or below, and the first time above, each step of its rate."""
    after = detected.searchsorted(np.arange(STEPS + 1) * total // STEPS, side="right")
    return np.append(after - 1, after).clip(0, len(detected) - 1)
