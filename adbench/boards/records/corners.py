"""Curves with fewer corners, which no page can tell from those with all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

Number = TypeVar("Number", int, float)


def thinned(curve: Sequence[tuple[Number, Number]], tolerance: float) -> list[tuple[Number, Number]]:
    """The first and the last corner of a curve, and those between that its shape needs.

    Every corner that is left out lies within the tolerance of the new curve (Douglas and Peucker, Cartographica 10,
    1973).

    Args:
        curve: corners in order.
        tolerance: a distance in the units of the curve.
    """
    kept, pieces = {0, len(curve) - 1}, [(0, len(curve) - 1)]
    while pieces:
        first, last = pieces.pop()
        middle = max(range(first + 1, last), key=lambda place: _distance(curve, place, first, last), default=None)
        if middle is not None and _distance(curve, middle, first, last) > tolerance:
            kept.add(middle)
            pieces += pairwise((first, middle, last))
    return [point for place, point in enumerate(curve) if place in kept]


def _distance(curve: Sequence[tuple[float, float]], place: int, first: int, last: int) -> float:
    """The distance of a corner from the straight piece between two others."""
    (x, y), (left, low), (right, high) = curve[place], curve[first], curve[last]
    wide, tall = right - left, high - low
    length = wide**2 + tall**2
    along = ((x - left) * wide + (y - low) * tall) / length if length else 0.0
    share = min(max(along, 0.0), 1.0)
    return math.hypot(x - left - share * wide, y - low - share * tall)
