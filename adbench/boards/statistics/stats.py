"""Average ranks of methods and paired tests between them, as pure functions of records and details.

Categories are what methods are compared over (Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets",
JMLR 7, 2006): a method's figure on a category is its mean over seeds. Seeds are no further categories. They share the
test images, and a method without randomness repeats itself: counted one by one they would prove anything. Methods that
lack a figure on any category take no part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from adbench.api.dataset import GOOD
from adbench.boards.records.keys import UnitKey
from adbench.boards.tables.figures import figures_of
from adbench.boards.tables.methods import MethodRow
from adbench.boards.tables.tidy import BoardData

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from adbench.engine.evaluate.details import Details

    Column: TypeAlias = np.ndarray

Lookup: TypeAlias = "Callable[[str], Details | None]"

ALPHA = 0.05
LEAST_RANKED = 3
"""Least numbers of categories and of methods for groups."""
LEAST_PAIRS = 6
"""Least number of categories for a signed-rank test: with five, its least p is 2 / 2**5 = 0.06."""
_DIGITS = 12
"""Decimals of figures that are compared: smaller differences come from rounding."""


@dataclass(frozen=True)
class Ranking:
    """Average ranks over categories, and which methods the categories cannot tell apart.

    Attributes:
        ranks: of each method by label, the best first; ties share the mean of their ranks.
        categories: how many there are.
        friedman: p of Friedman's test, that all methods are alike; None with too few methods or categories.
        difference: of average ranks from which two methods differ (Nemenyi's critical difference); None likewise.
        groups: methods that do not differ, the best group first: groups overlap. One group where Friedman's test sees
            no difference, none where there was no test.
    """

    ranks: Mapping[str, float]
    categories: int
    friedman: float | None = None
    difference: float | None = None
    groups: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def numbers(self) -> dict[str, tuple[int, int]]:
        """Numbers, from 1, of the first and the last group that hold a method: they are consecutive."""
        found: dict[str, tuple[int, int]] = {}
        for number, group in enumerate(self.groups, start=1):
            found |= {label: (found.get(label, (number,))[0], number) for label in group}
        return found


@dataclass(frozen=True)
class PairedTest:
    """Paired tests of one method against each of some others.

    Attributes:
        test: what was done, for people; or why nothing was.
        p: by label of the others, two-sided, corrected for their number (Holm); empty where nothing was done.
    """

    test: str
    p: Mapping[str, float]


def ranking(data: BoardData, methods: Iterable[MethodRow], metric: str) -> Ranking:
    """Rank methods of one regime by their average rank over the categories.

    Args:
        data: of the board.
        methods: those to rank; they have to be of one regime to be comparable.
        metric: higher is better.
    """
    return ranking_of(_complete(data, methods, metric))


def ranking_of(figures: pd.DataFrame) -> Ranking:
    """Rank methods by their average rank.

    Args:
        figures: [M, C] higher is better, without gaps: a row for each method by label, a column for each category.
    """
    methods, categories = figures.shape
    if figures.empty:
        return Ranking({}, categories)
    ranks = figures.rank(ascending=False)
    ordered: dict[str, float] = ranks.mean(axis=1).sort_index().sort_values(kind="stable").to_dict()
    if categories < LEAST_RANKED or methods < LEAST_RANKED:
        return Ranking(ordered, categories)
    p, difference = _friedman(ranks.to_numpy()), critical_difference(methods, categories)
    groups = _groups(ordered, difference) if p < ALPHA else (tuple(ordered),)
    return Ranking(ordered, categories, p, difference, groups)


def _complete(data: BoardData, methods: Iterable[MethodRow], metric: str) -> pd.DataFrame:
    """Means over seeds of the methods that have a figure on each category: rows by label, columns by category."""
    import pandas as pd

    found = figures_of(data, metric).by_category
    means = {method.label: [found[method.key, name].mean for name in data.categories] for method in methods}
    table = pd.DataFrame.from_dict(means, orient="index", columns=list(data.categories), dtype=float)
    return table.dropna().round(_DIGITS)


def _friedman(ranks: Column) -> float:
    """Friedman's p for ranks [M, C] of methods; 1 if all are tied everywhere, where SciPy divides by zero."""
    from scipy.stats import friedmanchisquare

    return float(friedmanchisquare(*ranks).pvalue) if (ranks != ranks[0]).any() else 1.0


def critical_difference(methods: int, categories: int) -> float:
    """Nemenyi's critical difference of average ranks (Demšar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - ALPHA, methods, float("inf")))
    return quantile * math.sqrt(methods * (methods + 1) / (12 * categories))


def _groups(ranks: Mapping[str, float], difference: float) -> tuple[tuple[str, ...], ...]:
    """The longest runs of ascending ranks within less than the difference."""
    labels, groups, end = list(ranks), [], 0
    for start, label in enumerate(labels):
        last = max(place for place, other in enumerate(labels) if ranks[other] - ranks[label] < difference)
        if last >= end:
            groups.append(tuple(labels[start : last + 1]))
            end = last + 1
    return tuple(groups)


def compare(data: BoardData, first: MethodRow, others: Sequence[MethodRow], metric: str, details: Lookup) -> PairedTest:
    """Test one method against each of others, in pairs of what both were tested on.

    Wilcoxon's signed-rank test over the categories where there are enough. Otherwise, for image AUROC, DeLong's test
    over the images of all categories, if all methods have details of the same images: whether the methods as they were
    trained here would differ on other images.

    Args:
        data: of the board.
        first: such as the best.
        others: of the same regime.
        metric: higher is better.
        details: finds those of a record by its id.
    """
    figures = _complete(data, [first, *others], metric)
    if first.label not in figures.index or len(figures) < 2:
        return PairedTest("no two methods are complete", {})
    rivals = [method for method in others if method.label in figures.index]
    if len(data.categories) >= LEAST_PAIRS:
        return signed_ranks(figures, first.label)
    if metric != "image-auroc":
        return PairedTest(f"none, with fewer than {LEAST_PAIRS} categories", {})
    own = _placed(data, first, details)
    placed = [(rival, _placed(data, rival, details)) for rival in rivals]
    alike = [(rival, place) for rival, place in placed if own and place and _images(place) == _images(own)]
    if not own or not alike:
        return PairedTest(f"none, with fewer than {LEAST_PAIRS} categories and no details of the same images", {})
    tests = [_delong(own, place) for _, place in alike]
    return PairedTest(
        "DeLong's test over the images of all categories",
        _holm([rival.label for rival, _ in alike], tests),
    )


def signed_ranks(figures: pd.DataFrame, first: str) -> PairedTest:
    """Wilcoxon's signed-rank test of one method against each of the others, over the categories.

    Args:
        figures: as for `ranking_of`, of at least `LEAST_PAIRS` categories.
        first: the label of the one.
    """
    others = figures.drop(index=first)
    p = _wilcoxon(figures.loc[first], others)
    return PairedTest(f"Wilcoxon's signed-rank test over {figures.shape[1]} categories", _holm(list(others.index), p))


def _holm(labels: Sequence[str], p: Sequence[float]) -> dict[str, float]:
    """Holm's correction of as many tests, by label (A simple sequentially rejective multiple test procedure, 1979).

    The k-th smallest of n is multiplied by n - k + 1, and none is less than a smaller one.
    """
    import numpy as np

    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(np.array(p)[order] * np.arange(len(p), 0, -1)))
    return dict(zip(labels, corrected.tolist(), strict=True))


def _wilcoxon(first: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
    """Wilcoxon's p of each pair: one quick call for pairs without ties, the rest one by one."""
    import numpy as np
    from scipy.stats import wilcoxon

    apart = np.round(np.array(first) - np.array(others), _DIGITS)
    sizes = np.sort(np.abs(apart), axis=1)
    plain = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1)
    p = np.ones(len(apart))
    if plain.any():
        p[plain] = wilcoxon(apart[plain], axis=1).pvalue
    for place in np.flatnonzero(~plain & apart.any(axis=1)):
        p[place] = wilcoxon(apart[place]).pvalue
    return list(map(float, p))


class _Placed(NamedTuple):
    """A method's images of one category.

    Attributes:
        images: id and whether it shows a defect, of each.
        shares: [N] the share of the other kind that lies on the right side of it, mean over seeds: DeLong's components,
            whose mean over either kind is the AUROC.
    """

    images: tuple[tuple[str, bool], ...]
    shares: Column


def _images(placed: Iterable[_Placed]) -> list[tuple[tuple[str, bool], ...]]:
    return [place.images for place in placed]


def _placed(data: BoardData, method: MethodRow, details: Lookup) -> list[_Placed] | None:
    """DeLong's components of each category; None if a unit has no details, or images differ or are too few."""
    import numpy as np

    placed = []
    for category in data.categories:
        units = [details(method.records[UnitKey(category, seed)].id) for seed in data.seeds]
        found = [_components(unit) for unit in units if unit is not None]
        if len(found) < len(units) or len(set(_images(found))) > 1:
            return None
        kinds = Counter(anomalous for _, anomalous in found[0].images)
        if min(kinds[True], kinds[False]) < 2:
            return None
        placed.append(_Placed(found[0].images, np.mean([each.shares for each in found], axis=0)))
    return placed


def _components(details: Details) -> _Placed:
    """DeLong's structural components of a unit, by ranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014)."""
    import numpy as np
    from scipy.stats import rankdata

    images = tuple((image.id, image.defect != GOOD) for image in details.images)
    scores, bad = np.array([image.score for image in details.images]), np.array([shown for _, shown in images])
    above = rankdata(scores)
    for kind in (bad, ~bad):
        above[kind] -= rankdata(scores[kind])  # images of the other kind that score lower, ties as halves
    values = np.where(bad, above / max(1, (~bad).sum()), 1 - above / max(1, bad.sum()))
    return _Placed(images, values)


def _delong(first: Sequence[_Placed], second: Sequence[_Placed]) -> float:
    """Two-sided p that two methods have the same mean AUROC over categories, whose images are independent."""
    import numpy as np
    from scipy.stats import norm

    difference, variance = 0.0, 0.0
    for one, other in zip(first, second, strict=True):
        bad, apart = np.array([shown for _, shown in one.images]), one.shares - other.shares
        difference += float(apart[bad].mean())
        variance += sum(float(apart[kind].var(ddof=1) / kind.sum()) for kind in (bad, ~bad))
    if abs(difference) < 10**-_DIGITS:
        return 1.0
    return float(2 * norm.sf(abs(difference) / variance**0.5)) if variance else 0.0
