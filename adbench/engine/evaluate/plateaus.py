"""Products of matrices that keep equal scores equal, to the last bit.

Metrics rank pixels. On a plateau of equal scores, products in float32 round to neighbours of the true value, and the
curve ranks that noise. Here weights are whole multiples of 2**-28 with the sum 1, sums are float64, and each of the two
products is rounded once, to float32. Every sum of a plateau of scores with 24 bits is then exact, for any order of
additions, and the plateau stays a plateau.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_UNIT = 2.0**28
"""Weights are multiples of its inverse: a product with the 24 bits of a score fits into float64."""
_BAND = 64
"""Rows of a matrix in one product: few enough to use few patches, enough to fill a processor."""
_SAFE = 1e-30, 1e37
"""Limits of the highest magnitude between which products of float32 neither underflow nor overflow."""


def needs_care(scores: np.ndarray) -> bool:
    """Whether rounding could separate equal scores: a plateau of two patches or more, or numbers near the limits."""
    if (scores[1:] == scores[:-1]).any() or (scores[:, 1:] == scores[:, :-1]).any() or 1 in scores.shape:
        return True
    return not _SAFE[0] <= np.abs(scores).max() <= _SAFE[1]


def exact_weights(matrix: np.ndarray) -> np.ndarray:
    """[N, K] float64: a matrix whose rows have the sum 1 exactly, from one whose rows have it up to rounding."""
    sums = matrix.cumsum(axis=1)
    exact: np.ndarray = np.diff(np.rint(sums * (_UNIT / sums[:, -1:])), axis=1, prepend=0) / _UNIT
    return exact


class Band(NamedTuple):
    """A band: some rows of a matrix, without the columns that are 0 in all of them."""

    pixels: slice
    patches: slice
    weights: np.ndarray


def bands_of(matrix: np.ndarray) -> tuple[Band, ...]:
    """The bands of a matrix."""
    bands = []
    for start in range(0, len(matrix), _BAND):
        rows = matrix[start : start + _BAND]
        used = np.flatnonzero(rows.any(axis=0))
        patches = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(Band(slice(start, start + len(rows)), patches, np.ascontiguousarray(rows[:, patches])))
    return tuple(bands)


def exact_product(rows: Sequence[Band], scores: np.ndarray, columns: Sequence[Band]) -> np.ndarray:
    """The product ``rows @ scores @ columns.T`` as float32, computed in float64; zeros outside a band are skipped.

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
