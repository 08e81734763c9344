"""How a threshold follows from scores of normal images."""

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


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
