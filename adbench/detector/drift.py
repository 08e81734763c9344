"""The drift alarm: a conformal test martingale over the scores of images that come one after the other."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort

import numpy as np

ALPHA = 0.01
"""The usual bound on the probability of a false drift alarm."""

_BETS = (0.5, 1.0, 1.5, 1.9)
"""Slopes of the bets on small p-values. A bet pays at most 1.95, so that a few defective images raise no alarm."""


class Drift:
    """Evidence that images no longer score like the normal images that came before them.

    Image n gets the smoothed conformal p-value of its score s_n among the N normal scores and all scores before it:
    p_n = (#{s > s_n} + u_n #{s = s_n}) / (N + n), the image itself counted in, u_n uniform. If all these scores are
    exchangeable, the p-values are independent and uniform (Vovk, Nouretdinov, Gammerman, "Testing exchangeability
    on-line", ICML 2003, theorem 1). P-values against the normal scores alone are not: all of them share one
    calibration, and a long stream would find its chance deviations.

    A bet of slope e multiplies its stake by 1 + e (1/2 - p), which has mean 1 (Vovk et al., "Retrain or not retrain:
    conformal test martingales for change-point detection", COPA 2021, equation 3). It bets on small p-values, that is
    high scores. The stake 1 / (k (k + 1)) is kept for bets that start at image k, so that a late change is found, too.
    The sum of all stakes is a martingale with mean 1 that is never negative, and Ville's inequality bounds it:

        P(evidence >= 1 / alpha at any time) <= alpha, however long the stream is.

    The bound holds while new scores are exchangeable with the normal scores. Normal scores come from banks that learned
    from fewer images, so they tend to be higher than those of new normal images: the alarm becomes rarer by that. The
    bound does not hold for a stream with defective images; the alarm then says that there are too many of them.

    It keeps 4 bytes for each image.

    Args:
        normal: [N] scores of normal images.
        alpha: the bound on the probability of a false alarm, in (0, 1).
        seed: decides u_n, so that the same stream gives the same evidence.

    Attributes:
        count: images so far.
        evidence: the martingale's value, 1 at the start.
        since: the number of the image, from 1, at which the evidence reached 1 / alpha; None before.
    """

    def __init__(self, normal: np.ndarray, alpha: float = ALPHA, seed: int = 0) -> None:
        self.alpha, self.seed = alpha, seed
        self.count, self.evidence = 0, 1.0
        self.since: int | None = None
        self._scores = array("f", np.sort(normal.astype(np.float32)).tolist())
        self._slopes = np.array(_BETS)
        self._stakes = np.zeros(len(_BETS))

    @property
    def bound(self) -> float:
        """The evidence that raises the alarm: 1 / alpha."""
        return 1 / self.alpha

    def update(self, score: float) -> float:
        """Take the score of the next image; returns the evidence."""
        self.count += 1
        p_value = self._p_value(float(np.float32(score)))
        started = 1 / (self.count * (self.count + 1) * len(_BETS))
        self._stakes = (self._stakes + started) * (1 + self._slopes * (0.5 - p_value))
        self.evidence = float(self._stakes.sum()) + 1 / (self.count + 1)
        if self.since is None and self.evidence >= self.bound:
            self.since = self.count
        self._stakes = np.minimum(self._stakes, 1e300)  # the alarm has long been raised: no infinity in tables
        return self.evidence

    def _p_value(self, score: float) -> float:
        insort(self._scores, score)
        above = len(self._scores) - bisect_right(self._scores, score)
        equal = len(self._scores) - above - bisect_left(self._scores, score)
        smoothing = np.random.default_rng([self.seed, self.count]).random()
        return float((above + smoothing * equal) / len(self._scores))

    @property
    def words(self) -> str:
        """The alarm in a sentence; empty before it."""
        if self.since is None:
            return ""
        return (
            f"drift: from about image {self.since} on, images no longer score like normal images (chance of a false"
            f" alarm at most {self.alpha:.3g}); check camera, light and parts, or whether many parts are defective"
        )
