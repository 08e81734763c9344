"""Rules that set a threshold from scores of normal images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from adbench.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


RuleName = Literal["conformal", "quantile", "sigma"]


ALPHA = 0.05
"""The default share of normal images that may raise an alarm."""


SIGMAS = 3.0


_SMALLEST = 1e-6
"""The smallest option: below it, conformal needs more than a million images, and a number of sigmas means nothing."""


_OPTIONS: Mapping[str, tuple[str, float]] = {
    "conformal": ("alpha", 1.0),
    "quantile": ("alpha", 1.0),
    "sigma": ("k", 1e6),
}
"""The option of each rule, and its upper limit."""


@dataclass(frozen=True)
class Rule:
    """A rule that sets a threshold from the scores of normal images.

    Attributes:
        name: of the rule.
        alpha: the intended share of false alarms; for ``conformal`` and ``quantile``.
        k: number of standard deviations above the mean; for ``sigma``.
    """

    name: RuleName = "conformal"
    alpha: float = ALPHA
    k: float = SIGMAS

    def threshold(self, normal: np.ndarray) -> float | None:
        """The threshold from [N] scores of normal images; None if N is too small for the rule."""
        rules: Mapping[RuleName, Callable[[], float | None]] = {
            "conformal": lambda: conformal(normal, self.alpha),
            "quantile": lambda: quantile(normal, 1 - self.alpha),
            "sigma": lambda: sigma(normal, self.k),
        }
        return rules[self.name]()

    @classmethod
    def parse(cls, text: str) -> Rule:
        """The rule of a text: ``conformal``, ``conformal:alpha=0.01``, ``quantile``, ``sigma:k=2``.

        Raises:
            UsageError: no such rule or option, or a number out of range.
        """
        name, _, rest = text.partition(":")
        option, equals, number = rest.partition("=")
        if text == "none":
            raise UsageError(f"threshold 'none': a detector needs a threshold; write one of {', '.join(_OPTIONS)}")
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
        """The rule in the form that `parse` reads."""
        return f"sigma:k={self.k:g}" if self.name == "sigma" else f"{self.name}:alpha={self.alpha:g}"

    @property
    def least(self) -> int:
        """The fewest normal scores that give a threshold."""
        return {"conformal": max(1, math.ceil((1 - 1e-9) / self.alpha) - 1), "quantile": 1, "sigma": 2}[self.name]

    def lacks(self, count: int) -> str:
        """The reason why `count` normal scores give no threshold; empty if they do."""
        if count >= self.least:
            return ""
        return f"{self.name} needs {self.least} normal images that the bank has not seen; there are {count}"


def conformal(normal: np.ndarray, alpha: float) -> float | None:
    """The split-conformal bound: P(a new normal image scores above it) <= alpha, for every distribution and every N.

    It is the r-th lowest of the N scores with r = ceil((N + 1)(1 - alpha)): the p-value (1 + #{scores >= s}) / (N + 1)
    of a new normal image is then at most alpha with probability at most alpha. The probability is over the draw of the
    normal scores *and* the new image; on one given draw the rate varies around alpha (Beta distributed), less for
    larger N.

    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2; for outliers: Bates, Candes,
    Lei, Romano, Sesia, "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023, section 2.1.

    Condition: the normal scores and the new one are exchangeable, that is, one bank that saw none of these images made
    them. With held-out scores the deployed bank is that bank, if it is not fitted again on all images. Here it is
    fitted again; the bound still holds if more normal images never raise a normal image's score (a full memory bank
    and its nearest neighbour). Cross-fitted scores come from several banks: under the same condition the bound is then
    2 alpha + sqrt(2 / N), and alpha in practice (Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the
    jackknife+", Annals of Statistics 49, 2021, theorem 4). Reports always show the measured false alarms too.

    Args:
        normal: [N] scores.
        alpha: in (0, 1).

    Returns:
        The bound, or None if N < 1 / alpha - 1: there are too few scores for this share.
    """
    import numpy as np

    above = math.floor(alpha * (len(normal) + 1) + 1e-9)
    return float(np.sort(normal)[max(0, len(normal) - above)]) if above and len(normal) else None


def quantile(normal: np.ndarray, q: float) -> float | None:
    """The lowest of [N] scores that a share q of them does not exceed; None without scores. It gives no guarantee."""
    import numpy as np

    return float(np.quantile(normal, q, method="inverted_cdf")) if len(normal) else None


def sigma(normal: np.ndarray, k: float) -> float | None:
    """Mean plus k sample standard deviations of [N] scores; None for N < 2. It assumes normally distributed scores."""
    import numpy as np

    values = normal.astype(np.float64)
    return float(values.mean() + k * values.std(ddof=1)) if len(values) > 1 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
