"""Products of matrices that leave equal scores equal, to the last bit.

Metrics rank pixels. Where scores are a plateau, products in float32 round to neighbours of the true value, and the
curve ranks that noise. Here weights are whole multiples of 2**-28 that add up to 1, sums are float64, and each of both
products is rounded once, to float32. Of a plateau of scores with 24 bits every sum is then exact, in whatever order a
library adds, and the plateau comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_UNIT = 2.0**28
"""Weights are multiples of its inverse: with the 24 bits of a score, a product has no more than float64 holds."""
_BAND = 64
"""Rows of a matrix that are multiplied together: they reach over few patches, and fill a processor."""
_SAFE = 1e-30, 1e37
"""Products of float32 neither underflow nor overflow where the highest magnitude lies between these."""


def needs_care(scores: np.ndarray) -> bool:
    """Whether rounding could tell apart what is equal: a plateau of two patches or more, or numbers near the limits."""
    if (scores[1:] == scores[:-1]).any() or (scores[:, 1:] == scores[:, :-1]).any() or 1 in scores.shape:
        return True
    return not _SAFE[0] <= np.abs(scores).max() <= _SAFE[1]


def exact_weights(matrix: np.ndarray) -> np.ndarray:
    """[N, K] float64: a matrix whose rows add up to 1, but for rounding, as one whose rows do so exactly."""
    sums = matrix.cumsum(axis=1)
    exact: np.ndarray = np.diff(np.rint(sums * (_UNIT / sums[:, -1:])), axis=1, prepend=0) / _UNIT
    return exact


class Band(NamedTuple):
    """Some rows of a matrix, without the columns that are 0 in all of them."""

    pixels: slice
    patches: slice
    weights: np.ndarray


def bands_of(matrix: np.ndarray) -> tuple[Band, ...]:
    """A matrix in bands."""
    bands = []
    for start in range(0, len(matrix), _BAND):
        rows = matrix[start : start + _BAND]
        used = np.flatnonzero(rows.any(axis=0))
        patches = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(Band(slice(start, start + len(rows)), patches, np.ascontiguousarray(rows[:, patches])))
    return tuple(bands)


def exact_product(rows: Sequence[Band], scores: np.ndarray, columns: Sequence[Band]) -> np.ndarray:
    """``rows @ scores @ columns.T`` as float32, in float64. No slower: nothing is multiplied by the 0 beside a band.

    Args:
        rows: a matrix of `exact_weights`, in bands.
        columns: another one.
        scores: [h, w] float32.
    """
    half = np.empty((rows[-1].pixels.stop, scores.shape[1]), np.float32)
    product = np.empty((len(half), columns[-1].pixels.stop), np.float32)
    whole = scores.astype(np.float64)
    for band in rows:
        half[band.pixels] = band.weights @ whole[band.patches]
    whole = half.astype(np.float64)
    for band in columns:
        product[:, band.pixels] = whole[:, band.patches] @ band.weights.T
    return product
