"""How unusual a pixel's score is among the pixels of normal images' maps: a curve that is small enough for a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

POINTS = 512
"""Of a curve, at most: their ranks are evenly spread on a logarithmic scale, so that the tail is exact."""
MOST_POINTS = 1 << 12
"""Of a curve in a stranger's file."""
TAIL = 0.01
"""The share of the highest pixels whose mean excess is the scale of the tail."""


@dataclass(frozen=True)
class PixelEvidence:
    """Minus the logarithm of the conformal p-value of a pixel's score, as a curve of straight pieces.

    Below the first point it is constant; beyond the last one the last piece goes on.

    Attributes:
        scores: [P] float32, rising, at least two.
        evidence: [P] float32, never falling.
    """

    scores: np.ndarray
    evidence: np.ndarray

    @classmethod
    def of(cls, pixels: np.ndarray) -> PixelEvidence:
        """The curve of the pixels of normal images' maps.

        At the score of rank r, where equal scores have the highest of their ranks, the p-value is (1 + r) / (1 + N).
        Beyond the highest score it falls as an exponential tail, whose scale is the mean excess of the highest pixels
        over their threshold, as for the exceedances of a high threshold (Pickands, Annals of Statistics 3, 1975).

        Args:
            pixels: [N], at least one.
        """
        import numpy as np

        ordered, count = np.sort(pixels.astype(np.float32).ravel()), len(pixels.ravel())
        ranks = np.unique(np.geomspace(1, count, POINTS).astype(np.int64))
        scores = np.unique(ordered[count - ranks])
        above = count - np.searchsorted(ordered, scores, side="left")
        evidence = -np.log((1 + above) / (1 + count))
        beyond = np.nextafter(scores[-1], np.float32(np.inf)).astype(np.float64)
        beyond = max(float(beyond), float(scores[-1]) + _scale(ordered))
        return cls(np.append(scores, np.float32(beyond)), np.append(evidence, evidence[-1] + 1).astype(np.float32))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """The evidence of scores of any shape, float64: it never falls where the score rises."""
        import numpy as np

        places, levels = self.scores.astype(np.float64), self.evidence.astype(np.float64)
        values = scores.astype(np.float64)
        slope = (levels[-1] - levels[-2]) / (places[-1] - places[-2])
        found: np.ndarray = np.interp(values, places, levels) + np.maximum(values - places[-1], 0) * slope
        return found


def _scale(ordered: np.ndarray) -> float:
    """The mean excess of the highest pixels over their threshold; 0 where they are equal."""
    import numpy as np

    threshold = float(np.quantile(ordered.astype(np.float64), 1 - TAIL))
    excess = ordered[ordered > threshold].astype(np.float64) - threshold
    return float(excess.mean()) if len(excess) else 0.0


def checked(values: np.ndarray) -> PixelEvidence:
    """The curve in a file's numbers.

    Args:
        values: [2 P] float32, scores and then evidence, maybe a stranger's.

    Raises:
        ValueError: they are no curve.
    """
    import numpy as np

    count = len(values) // 2
    scores, evidence = values[:count], values[count:]
    fits = values.ndim == 1 and values.dtype == np.float32 and len(values) % 2 == 0 and 2 <= count <= MOST_POINTS
    if not (fits and np.isfinite(values).all() and (np.diff(scores) > 0).all() and (np.diff(evidence) >= 0).all()):
        raise ValueError("its curve of normal pixels does not rise")
    return PixelEvidence(scores, evidence)
