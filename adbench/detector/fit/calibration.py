"""What scores of normal images say of a new score: a p-value, a threshold, and a threshold for pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.store.normal_scores import NormalScores


@dataclass(frozen=True)
class Calibration:
    """Scores of normal images by banks that had not seen them.

    Attributes:
        normal: their image scores [N], and how they came about.
        peaks: [N] float32, the highest pixel of each of their anomaly maps; None for a method without maps.
        rule: how thresholds follow.
    """

    normal: NormalScores
    peaks: np.ndarray | None = None
    rule: Rule = field(default_factory=Rule)

    def p_value(self, score: float) -> float | None:
        """The conformal p-value of a score: (1 + #{normal scores >= score}) / (N + 1); None without normal scores.

        For a new normal image, P(p <= t) <= t under the conditions that `conformal` states (Bates, Candes, Lei, Romano,
        Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023). It is never below
        1 / (N + 1).
        """
        count = len(self.normal.values)
        return None if count == 0 else (1 + int((self.normal.values >= np.float32(score)).sum())) / (count + 1)

    @cached_property
    def threshold(self) -> Threshold:
        """The image score above which an image is called defective; its value is None, with the reason, where the rule
        needs more normal images.
        """
        value = None if self.normal.reason else self.rule.threshold(self.normal.values)
        reason = "" if value is not None else self.normal.reason or self.rule.lacks(len(self.normal.values))
        by_sigma = self.rule.name == "sigma"
        return Threshold(
            method=self.rule.name,
            source=self.normal.source,
            normals=len(self.normal.values),
            alpha=None if by_sigma else self.rule.alpha,
            k=self.rule.k if by_sigma else None,
            value=value,
            reason=reason,
        )

    @cached_property
    def pixel_threshold(self) -> float | None:
        """The value of the anomaly map above which a pixel is marked, by the same rule.

        It is set on the highest pixel of each normal image: the rule's share is that of normal images with any mark.
        """
        return None if self.peaks is None or not len(self.peaks) else self.rule.threshold(self.peaks)

    @property
    def words(self) -> str:
        """The threshold in words, such as ``threshold 42.9 (conformal, 5 %; cross-fitted k=5 of 38 normal images)``."""
        line = self.threshold
        if line.value is None:
            return f"no threshold: {line.reason}"
        return f"threshold {line.value:.6g} ({self.rule}; {line.source} of {line.normals} normal images)"
