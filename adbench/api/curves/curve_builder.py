"""The builder of a curve: from tables of positive scores to figures and points, threshold by threshold.

It works with NumPy and with torch on any device, because both have the same names for these operations. Numbers of
pixels are float64, exact up to 2**53, so that both libraries divide alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from adbench.api.curves.threshold_table import ThresholdTable, score_of

Column: TypeAlias = Any
"""A NumPy array or a torch tensor of one dimension."""

STEPS = 1000
"""Curves keep the points around this many steps of either rate: limits of `Curve.aupro` are multiples of 1 / STEPS."""


class Arrays(NamedTuple):
    """The array library of columns.

    Attributes:
        library: the module, NumPy or torch.
        running: cumulative sums of a float64 column, always added in the same order.
        column: converts NumPy's column into one of the library.
        host: converts a column of the library into NumPy's.
        score: the score of a key.
        block: number of thresholds in one block.
    """

    library: Any
    running: Callable[[Column], Column]
    column: Callable[[np.ndarray], Column]
    host: Callable[[Column], np.ndarray]
    score: Callable[[Any], float]
    block: int


NUMPY = Arrays(np, np.cumsum, np.asarray, np.asarray, score_of, 1 << 17)


class Points(NamedTuple):
    """The stored corners of a curve, [M] each: detected normals and positives, detected parts of regions, and the area
    under the regions over the normals, left of the point.
    """

    false: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    area: np.ndarray


@dataclass
class CurveBuilder:
    """A builder that goes down the thresholds, sums the figures and stores points of the curve.

    Attributes:
        true: positives detected so far.
        false: normals detected so far.
        weight: regions detected so far, in parts.
        area: the area under `weight` over `false`.
        pairs: twice the pairs of a positive and a normal that are in order; a tie counts once. An exact integer.
        precision: the sum of the precision at each positive.
        best: the highest F1 and its threshold.
        every: store all corners of the curve, not only those around the steps.
    """

    arrays: Arrays
    positives: int
    negatives: int
    true: int = 0
    false: int = 0
    weight: float = 0.0
    area: float = 0.0
    pairs: int = 0
    precision: float = 0.0
    best: tuple[float, float] = (0.0, np.inf)
    every: bool = False
    _points: list[Points] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether no threshold is left."""
        return self.true == self.positives or not self.negatives

    def descend(self, table: ThresholdTable, lower: Column, same: Column) -> None:
        """Add the thresholds of a table. [K] `lower`: normals since the last table; [K] `same`: tied normals."""
        before = self.false
        for start in range(0, len(lower), self.arrays.block):
            block = slice(start, start + self.arrays.block)
            above = before + lower[block]
            self._add(ThresholdTable(*(column[block] for column in table)), above, above + same[block])

    def _add(self, table: ThresholdTable, above: Column, false: Column) -> None:
        """`above` [K]: normals above the threshold, `false` [K]: with those at it."""
        counts, running = table.counts, self.arrays.running
        true, weight = self.true + running(counts), self.weight + running(table.weights)
        self.pairs += int((counts * (2 * self.negatives - above - false)).sum())
        self.precision += float((counts * true / (true + false)).sum())
        f1 = 2 * true / (self.positives + true + false)
        highest = f1.max()
        if highest > self.best[0]:
            self.best = float(highest), self.arrays.score(table.keys[f1 == highest].min())
        # the corners of the curves: each threshold ends a horizontal piece at the height before it, then a diagonal
        self._keep(
            self._in_turn(above, false),
            self._in_turn(true - counts, true),
            self._in_turn(self._moved_on(self.weight, weight), weight),
        )
        self.true, self.false, self.weight = int(true[-1]), int(false[-1]), float(weight[-1])

    def _keep(self, false: Column, true: Column, weight: Column) -> None:
        """Store the corners around the steps of either rate, or every corner."""
        width = false - self._moved_on(self.false, false)
        area = self.area + self.arrays.running(width * (self._moved_on(self.weight, weight) + weight) / 2)
        self.area = float(area[-1])
        stored = slice(None) if self.every else self._corners_to_keep(false, true)
        self._points.append(Points(*(self.arrays.host(column[stored]) for column in (false, true, weight, area))))

    def _corners_to_keep(self, false: Column, true: Column) -> Column:
        steps = [self._around_steps(false, self.negatives), self._around_steps(true, self.positives)]
        return self.arrays.library.unique(self.arrays.library.concatenate(steps))

    def _in_turn(self, first: Column, second: Column) -> Column:
        """[2 K] first[0], second[0], first[1], ..."""
        return self.arrays.library.stack([first, second], 1).ravel()

    def _moved_on(self, first: float, column: Column) -> Column:
        """[K] first, column[0], ..., column[K - 2]."""
        moved = self.arrays.library.empty_like(column)
        moved[0], moved[1:] = first, column[:-1]
        return moved

    def _around_steps(self, detected: Column, total: int) -> Column:
        """The places where `detected` [M] is last at or below, and first above, each step of its rate."""
        steps = self.arrays.column((np.arange(STEPS + 1) * total // STEPS).astype(np.float64))
        after = self.arrays.library.searchsorted(detected, steps, side="right")
        return self.arrays.library.concatenate([after - 1, after]).clip(0, len(detected) - 1)

    def points(self) -> Points:
        """The stored corners, from the origin to the point where everything is detected."""
        rest = (self.negatives - self.false) * self.weight  # beyond the last positive there are normals only
        start, end = (0, 0, 0, 0), (self.negatives, self.positives, self.weight, self.area + rest)
        return Points(*(np.hstack(column) for column in zip(start, *self._points, end, strict=True)))
