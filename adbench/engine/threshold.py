"""Where to draw the line between good and defective, from scores of normal images alone, and how well that turns out.

No label and no test image decides a threshold here: its F1 is what a deployed system reaches, where F1-max is what the
test set's own labels would allow. An image is called defective if its score is **above** the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from adbench.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

RuleName = Literal["conformal", "quantile", "sigma"]

ALPHA = 0.05
"""The share of normal images that may raise an alarm, where nobody says otherwise."""
SIGMAS = 3.0
_SMALLEST = 1e-6
"""Below it, conformal would want more than a million images, and a number of sigmas means nothing."""
_OPTIONS: Mapping[str, tuple[str, float]] = {
    "conformal": ("alpha", 1.0),
    "quantile": ("alpha", 1.0),
    "sigma": ("k", 1e6),
}
"""By rule: the option that it takes, and what that is below."""


@dataclass(frozen=True)
class NormalScores:
    """Image scores of normal images that the bank had not seen.

    Attributes:
        values: [N] float32; none where the method gives no such scores.
        source: how they came about: ``"held-out 20 %"`` or ``"cross-fitted k=5"``.
        reason: why there are none; else empty.
        made: False where the rule of the run could not have used them, so that none were made: another rule needs
            another run.
    """

    values: np.ndarray
    source: str
    reason: str = ""
    made: bool = True


@dataclass(frozen=True)
class Rule:
    """How a threshold follows from the scores of normal images.

    Attributes:
        name: which rule.
        alpha: the share of false alarms that is aimed at; read by ``conformal`` and ``quantile``.
        k: standard deviations above the mean; read by ``sigma``.
    """

    name: RuleName = "conformal"
    alpha: float = ALPHA
    k: float = SIGMAS

    def threshold(self, normal: np.ndarray) -> float | None:
        """The threshold from [N] scores of normal images; None where N is too small for the rule."""
        rules: Mapping[RuleName, Callable[[], float | None]] = {
            "conformal": lambda: conformal(normal, self.alpha),
            "quantile": lambda: quantile(normal, 1 - self.alpha),
            "sigma": lambda: sigma(normal, self.k),
        }
        return rules[self.name]()

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule as the command line has it: ``conformal``, ``conformal:alpha=0.01``, ``quantile``, ``sigma:k=2``.

        Raises:
            UsageError: no such rule or option, or a number out of range.
        """
        name, _, rest = text.partition(":")
        option, equals, number = rest.partition("=")
        if name not in _OPTIONS:
            raise UsageError(f"threshold {text!r}: no such rule; write one of {', '.join(_OPTIONS)}, or none")
        if not rest:
            return cls(cast("RuleName", name))
        wanted, below = _OPTIONS[name]
        value = _number(number)
        if option != wanted or not equals or value is None or not _SMALLEST <= value < below:
            bounds = f"between {_SMALLEST:g} and {below:g}"
            raise UsageError(f"threshold {text!r}: write {name}, or {name}:{wanted}=NUMBER with a number {bounds}")
        rule = cls(cast("RuleName", name))
        return replace(rule, alpha=value) if wanted == "alpha" else replace(rule, k=value)

    def __str__(self) -> str:
        return f"mean + {self.k:g} sigma" if self.name == "sigma" else f"{self.name}, {100 * self.alpha:g} %"

    @property
    def words(self) -> str:
        """The rule as `parse` reads it."""
        return f"sigma:k={self.k:g}" if self.name == "sigma" else f"{self.name}:alpha={self.alpha:g}"

    @property
    def least(self) -> int:
        """The fewest normal scores that give a threshold."""
        return {"conformal": max(1, math.ceil((1 - 1e-9) / self.alpha) - 1), "quantile": 1, "sigma": 2}[self.name]

    def lacks(self, count: int) -> str:
        """Why so many normal scores give no threshold; empty if they do."""
        if count >= self.least:
            return ""
        return f"{self.name} needs {self.least} normal images that the bank has not seen; there are {count}"


class Threshold(BaseModel):
    """A threshold, where it comes from, and what it does on the test set. Shares are fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: RuleName
    source: str = Field(max_length=100, description="how the normal scores came about")
    normals: int = Field(ge=0, description="scores of normal images that decided it")
    alpha: float | None = Field(None, description="the share of false alarms that was aimed at")
    k: float | None = Field(None, description="standard deviations above the mean")
    value: float | None = Field(description="images that score above it are called defective")
    reason: str = Field("", max_length=500, description="why value is null")
    precision: float | None = Field(None, ge=0, le=1, description="null where nothing is called defective")
    recall: float | None = Field(None, ge=0, le=1)
    f1: float | None = Field(None, ge=0, le=1)
    fpr: float | None = Field(None, ge=0, le=1, description="share of the normal test images that raise an alarm")
    oracle_f1: float | None = Field(
        None, ge=0, le=1, description="F1 at the threshold that the test labels would choose"
    )
    oracle_gap: float | None = Field(None, ge=0, le=1, description="oracle_f1 minus f1")

    @property
    def rule(self) -> Rule:
        """What made it."""
        return Rule(self.method, *(given or usual for given, usual in ((self.alpha, ALPHA), (self.k, SIGMAS))))

    def __str__(self) -> str:
        """What an engineer would set, and what would come of it."""
        if self.value is None:
            return f"no threshold: {self.reason}"
        images = f"{self.normals} normal image{'s' if self.normals != 1 else ''}"
        f1, fpr = ("n/a" if share is None else f"{100 * share:.1f} %" for share in (self.f1, self.fpr))
        return f"threshold {self.value:.6g}, {self.source} of {images}: F1 {f1}, false alarms {fpr}"


def deploy(rule: Rule, normal: NormalScores, labels: np.ndarray, scores: np.ndarray) -> Threshold:
    """Set a threshold on normal scores, then see what it does on the test set.

    Args:
        rule: how the threshold follows.
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


def conformal(normal: np.ndarray, alpha: float) -> float | None:
    """The split-conformal bound: P(a new normal image scores above it) <= alpha, for every distribution and every N.

    It is the r-th lowest of the N scores with r = ceil((N + 1)(1 - alpha)): the p-value (1 + #{scores >= s}) / (N + 1)
    of a new normal image is then at most alpha with probability at most alpha. The probability is over the draw of the
    normal scores *and* the new image; on one given draw the rate scatters around alpha (Beta distributed), the less the
    larger N.

    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2; for outliers: Bates, Candes,
    Lei, Romano, Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023, section 2.1.

    What it takes: the normal scores and the new one are exchangeable, that is made by one bank that saw neither image.
    That bank is also the one that is deployed with held-out scores, if it is not fitted again on all images. Here it
    is, and the bound carries over wherever more normal images never raise a normal image's score (a full memory bank
    and its nearest neighbour). Cross-fitted scores come from several banks: under the same condition the bound is then
    2 alpha + sqrt(2 / N), and alpha in practice (Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the
    jackknife+", Annals of Statistics 49, 2021, theorem 4). The false alarms that were achieved always stand beside it.

    Args:
        normal: [N] scores.
        alpha: in (0, 1).

    Returns:
        The bound, or None where N < 1 / alpha - 1: so few scores bound no such small share.
    """
    import numpy as np

    above = math.floor(alpha * (len(normal) + 1) + 1e-9)
    return float(np.sort(normal)[max(0, len(normal) - above)]) if above and len(normal) else None


def quantile(normal: np.ndarray, q: float) -> float | None:
    """The lowest of [N] scores that at least a share q of them does not exceed; None without scores. No guarantee."""
    import numpy as np

    return float(np.quantile(normal, q, method="inverted_cdf")) if len(normal) else None


def sigma(normal: np.ndarray, k: float) -> float | None:
    """Mean plus k sample standard deviations of [N] scores; None below two. Right if they are normally distributed."""
    import numpy as np

    values = normal.astype(np.float64)
    return float(values.mean() + k * values.std(ddof=1)) if len(values) > 1 else None


def _achieved(value: float, labels: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
    from adbench.api.curve import curve_of_scores  # imports numpy, which settings do without

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


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
