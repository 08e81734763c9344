"""Late fusion: image scores of several detectors of the same samples, joined by p-values on normal scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adbench.api.curves.curve import curve_of_scores
from adbench.errors import DataError

How = Literal["sum", "max"]
"""``sum`` adds the evidence of all detectors (Fisher, 1925); ``max`` takes the strongest (Tippett, 1931)."""
WAYS: tuple[How, ...] = ("sum", "max")
TAIL = 0.5
"""The share of the highest normal scores whose mean excess is the scale of the tail."""


def p_values(scores: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[N] float64: the conformal p-value of each score, (1 + #{normal >= score}) / (1 + M).

    Args:
        scores: [N].
        normal: [M] scores of normal images by banks that had not seen them, at least one.
    """
    ordered = np.sort(normal.astype(np.float64))
    above = len(ordered) - np.searchsorted(ordered, scores.astype(np.float64), side="left")
    found: np.ndarray = (1 + above) / (1 + len(ordered))
    return found


def evidence(scores: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[N] float64: minus the logarithm of a p-value without steps, which rises with the score.

    A conformal p-value is never below 1 / (1 + M), so all clear defects would be equal. At the normal scores the result
    is that of the conformal p-value, and between them it is linear. Above the highest of them the p-value falls as an
    exponential tail does, whose scale is the mean excess of the upper half of the normal scores over their median, or
    their range where no score is above the median.

    Args:
        scores: [N].
        normal: [M] scores of normal images by banks that had not seen them, at least one.
    """
    places = np.unique(normal.astype(np.float64))
    levels = -np.log(p_values(places, normal))
    values, highest = scores.astype(np.float64), places[-1]
    middle = float(np.quantile(normal.astype(np.float64), 1 - TAIL))
    excess = normal[normal > middle].astype(np.float64) - middle
    scale = float(excess.mean()) if len(excess) else float(np.ptp(normal)) or max(abs(highest), 1.0) * 1e-6
    inside = np.interp(values, places, levels)
    found: np.ndarray = inside + np.maximum(values - highest, 0) / scale
    return found


@dataclass(frozen=True)
class DetectorScores:
    """Image scores of one detector.

    Attributes:
        name: of the detector, for people.
        scores: [N] float32, of the samples.
        normal: [M] float32, of normal images by banks that had not seen them.
    """

    name: str
    scores: np.ndarray
    normal: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.normal):
            raise DataError(
                f"{self.name}: the run has no scores of normal images, and p-values follow from them; run it again with"
                " --redo --threshold conformal, on more normal images if there are fewer than 19"
            )


def fused(detectors: Sequence[DetectorScores], how: How) -> np.ndarray:
    """[N] float64: one score a sample, which rises with the evidence of the detectors.

    Args:
        detectors: of the same samples, in the same order.
        how: `How` evidence is joined.
    """
    every = np.stack([evidence(one.scores, one.normal) for one in detectors])
    joined: np.ndarray = every.sum(axis=0) if how == "sum" else every.max(axis=0)
    return joined


def alarms(detectors: Sequence[DetectorScores], alpha: float) -> np.ndarray | None:
    """[N] bool: samples of which one detector's conformal p-value is at most alpha over the number of detectors.

    By Bonferroni's bound, a normal sample raises an alarm with a probability of at most alpha, however the detectors
    depend on one another, under the conditions of the conformal threshold.

    Returns:
        None where a detector has too few normal scores for such a p-value.
    """
    share = alpha / len(detectors)
    if any(1 / (1 + len(one.normal)) > share for one in detectors):
        return None
    found: np.ndarray = np.any([p_values(one.scores, one.normal) <= share for one in detectors], axis=0)
    return found


def normals_needed(detectors: int, alpha: float) -> int:
    """The number of normal scores that each of so many detectors needs for `alarms`."""
    return math.ceil(detectors / alpha - 1 - 1e-9)


def auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """The image AUROC of scores; None if a label is missing.

    Args:
        labels: [N] bool, True for a defective sample.
        scores: [N]; only their order counts.
    """
    ranks = np.unique(scores, return_inverse=True)[1].astype(np.float32)  # float32 would join neighbours
    return curve_of_scores(labels, ranks).auroc
