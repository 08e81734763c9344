"""Figures of several units, joined: means and sums that need all of them, and shares with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

_Number = TypeVar("_Number", int, float)

_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """The mean of some figures; None where one is missing, or there are none."""
    known = _all_known(values)
    return sum(known) / len(known) if known else None


def sum_of_all(counts: Iterable[int | None]) -> int | None:
    """The sum of some counts; None where one is missing, or there are none."""
    known = _all_known(counts)
    return sum(known) if known else None


def _all_known(values: Iterable[_Number | None]) -> list[_Number]:
    """The values; none of them where one is missing."""
    every = list(values)
    known = [value for value in every if value is not None]
    return known if len(known) == len(every) else []


class CountedShare(NamedTuple):
    """A share, and its 95 % interval over draws of what was counted; all three are fractions."""

    value: float
    low: float
    high: float


def share_of(count: int | None, total: int) -> CountedShare | None:
    """The share of `count` in `total` with its interval; None where the count is missing or impossible, or of nothing.

    Args:
        count: how many of `total` are counted.
        total: the number of images.
    """
    if count is None or not 0 < total >= count >= 0:
        return None
    return CountedShare(count / total, *wilson_interval(count, total))


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's score interval (Brown, Cai, DasGupta, Statistical Science 16, 2001).

    Args:
        count: how many of `total` are counted, from 0 to all.
        total: at least 1.
    """
    share, room = count / total, _Z**2 / total
    middle = (share + room / 2) / (1 + room)
    half = _Z / (1 + room) * math.sqrt(share * (1 - share) / total + room / (4 * total))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return low, 1.0 if count == total else min(1.0, middle + half)
