"""Anomaly maps in 16 bits: the order of the scores is kept, nothing overflows, and ties are as few as 16 bits allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 0x7800
"""Number of levels: all float16 numbers from 0 to 32,752, so that even a doubled score is finite."""


@dataclass(frozen=True)
class HalfScale:
    """A monotone scale from the scores of one object to float16.

    A plain cast makes infinities above 65,504, and between powers of two it has 1,024 steps. This scale gives the range
    of the scores to the float16 numbers in order, so that equal distances of scores are equal numbers of levels. Rank
    metrics do not notice: a score that is higher never becomes a lower one.

    Attributes:
        low: becomes 0; lower scores too.
        high: becomes the highest level; higher scores too.
    """

    low: float
    high: float

    def half(self, scores: np.ndarray) -> np.ndarray:
        """[H, W] float16 of [H, W] scores."""
        span = self.high - self.low
        if not span > 0:
            return np.zeros(scores.shape, np.float16)
        share = np.clip((scores.astype(np.float64) - self.low) / span, 0, 1)
        return np.rint(share * (LEVELS - 1)).astype(np.uint16).view(np.float16)


def distinct(scores: np.ndarray) -> int:
    """The number of different scores in a map."""
    return int(np.unique(scores).size)
