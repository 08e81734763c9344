"""A threshold between good and defective, from scores of normal images alone, and its results on the test set.

No label and no test image decides it: its F1 is that of a deployed system, while F1-max needs the test set's labels. An
image is called defective if its score is **above** the threshold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from adbench.engine.plan.threshold_rule import ALPHA, SIGMAS, Rule, RuleName
from adbench.engine.store.normal_scores import NormalScores

if TYPE_CHECKING:
    import numpy as np


IMPROBABLE = 0.001
"""The probability below which a number of false alarms contradicts the rule."""


class Threshold(BaseModel):
    """A threshold, its source, and its results on the test set. Shares are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: RuleName
    source: str = Field(max_length=100, description="the source of the normal scores")
    normals: int = Field(ge=0, description="number of normal scores that decide it")
    alpha: float | None = Field(None, description="the intended share of false alarms")
    k: float | None = Field(None, description="standard deviations above the mean")
    value: float | None = Field(description="images with a score above it are called defective")
    reason: str = Field("", max_length=500, description="why value is null")
    precision: float | None = Field(None, ge=0, le=1, description="null if no image is called defective")
    recall: float | None = Field(None, ge=0, le=1)
    f1: float | None = Field(None, ge=0, le=1)
    fpr: float | None = Field(None, ge=0, le=1, description="share of the normal test images that raise an alarm")
    oracle_f1: float | None = Field(
        None, ge=0, le=1, description="F1 at the threshold that the test labels would choose"
    )
    oracle_gap: float | None = Field(None, ge=0, le=1, description="oracle_f1 minus f1")

    @property
    def rule(self) -> Rule:
        """The rule that set the threshold."""
        return Rule(self.method, *(given or usual for given, usual in ((self.alpha, ALPHA), (self.k, SIGMAS))))

    def __str__(self) -> str:
        """The threshold in one line: value, source, F1 and false alarms."""
        if self.value is None:
            return f"no threshold: {self.reason}"
        images = f"{self.normals} normal image{'s' if self.normals != 1 else ''}"
        f1, fpr = ("n/a" if share is None else f"{100 * share:.1f} %" for share in (self.f1, self.fpr))
        return f"threshold {self.value:.6g}, {self.source} of {images}: F1 {f1}, false alarms {fpr}"


def deploy(rule: Rule, normal: NormalScores, labels: np.ndarray, scores: np.ndarray) -> Threshold:
    """Set a threshold from normal scores, and measure it on the test set.

    Args:
        rule: the rule that sets it.
        normal: scores of normal images outside the test set.
        labels: [N] bool, True for an anomalous test image.
        scores: [N] float32, the test images' scores.
    """
    value = None if normal.reason else rule.threshold(normal.values)
    reason = (normal.reason or rule.lacks(len(normal.values))) if value is None else ""
    achieved = {} if value is None else _achieved(value, labels, scores)
    return Threshold(
        method=rule.name,
        source=normal.source,
        normals=len(normal.values),
        alpha=None if rule.name == "sigma" else rule.alpha,
        k=rule.k if rule.name == "sigma" else None,
        value=value,
        reason=reason,
        **achieved,
    )


def _achieved(value: float, labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    from adbench.api.curves.curve import curve_of_scores  # imports numpy, which settings do without

    alarm = scores > value
    found, missed = int((alarm & labels).sum()), int((~alarm & labels).sum())
    false, good = int((alarm & ~labels).sum()), int((~labels).sum())
    f1, oracle = _share(2 * found, 2 * found + false + missed), curve_of_scores(labels, scores).f1_max
    return {
        "precision": _share(found, found + false),
        "recall": _share(found, found + missed),
        "f1": f1 if labels.any() else None,
        "fpr": _share(false, good),
        "oracle_f1": oracle,
        "oracle_gap": None if f1 is None or oracle is None else max(oracle - f1, 0.0),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def false_alarm_note(threshold: Threshold, normal_images: int) -> str:
    """A sentence if far more normal test images raise an alarm than the conformal rule intends; empty otherwise.

    If normal test images were like the images behind the m normal scores, the false alarms among n of them would be
    beta-binomial with the parameters r and m + 1 - r, where r = floor(alpha (m + 1)) (Vovk, "Conditional validity of
    inductive conformal predictors", ACML 2012, section 2). The sentence comes if that many have a probability below
    `IMPROBABLE`.

    Args:
        threshold: with its results on the test set.
        normal_images: number n of normal test images.
    """
    alpha, share = threshold.alpha, threshold.fpr
    if threshold.method != "conformal" or alpha is None or share is None:
        return ""
    alarms, above = round(share * normal_images), math.floor(alpha * (threshold.normals + 1) + 1e-9)
    if share <= alpha or _at_least(alarms, normal_images, above, threshold.normals + 1 - above) >= IMPROBABLE:
        return ""
    return (
        f"{alarms} of {normal_images} normal test images raise an alarm, and the rule intends {100 * alpha:g} %: normal"
        " test images differ from those learned from (light, position, material), or those learned from overlap or"
        " repeat each other; compare both, and learn from images taken as the test images were"
    )


def _at_least(alarms: int, images: int, above: float, below: float) -> float:
    """P(X >= alarms) of a beta-binomial X."""
    from scipy.special import betaln, comb  # its statistics take a second to import

    return sum(
        float(comb(images, count) * math.exp(betaln(count + above, images - count + below) - betaln(above, below)))
        for count in range(alarms, images + 1)
    )
