"""Methods over several data sets: mean rank and mean figure with intervals, and what all categories can tell apart.

Boards of one protocol are compared, and methods that were given the same. A method's figure on a data set is its mean
over categories and seeds, as its board shows it, so that each data set weighs the same. A method that lacks a figure on
one of the data sets is listed without a rank, and changes no other rank.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adbench.boards.records.keys import method_name, short_keys
from adbench.boards.statistics.stats import LEAST_PAIRS, PairedTest, Ranking, ranking_of, signed_ranks
from adbench.boards.tables.figures import Figure, figures_of
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import DAGGER
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.engine.store.record import canonical_json

if TYPE_CHECKING:
    import pandas as pd

CONFIDENCE = 0.95
LEAST_SETS = 2
LEAST_METHODS = 2
METRICS = ("image-auroc", "pixel-aupro-30")
"""What data sets are compared by: finding defective images, and finding the defects in them."""
_DIGITS = 12
"""Decimals of figures that are ranked: smaller differences come from rounding."""


@dataclass(frozen=True)
class MeanOfSets:
    """A mean over data sets.

    Attributes:
        mean: of the data sets, each with the same weight.
        interval: of 95 % confidence over the choice of data sets (Student's t); None with one data set.
    """

    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class OverallRow:
    """A method on several data sets.

    Attributes:
        label: unique in its group.
        figures: by data set; absent where the method is not on the board.
        ranks: by data set, among the methods without a gap; ties share the mean of their ranks. Empty with a gap.
        rank: the mean of these; None with a gap.
        mean: of the figures, a fraction; None with a gap.
    """

    label: str
    figures: Mapping[str, Figure]
    ranks: Mapping[str, float]
    rank: MeanOfSets | None
    mean: MeanOfSets | None


@dataclass(frozen=True)
class OverallGroup:
    """Methods that were given the same, on all boards of one protocol, by one metric.

    Attributes:
        regime: what the methods were given.
        protocol: of the boards, in words.
        metric: that ranks.
        sets: names of the data sets.
        entries: by mean rank, then those with a gap by label.
        ranking: of the methods without a gap, over all categories of all data sets.
        tests: of the first against each of the others, over the same.
        agreement: Kendall's tau-b of the ranks on each two data sets; None where all figures of one are alike.
    """

    regime: RegimeGroup
    protocol: str
    metric: str
    sets: tuple[str, ...]
    entries: tuple[OverallRow, ...]
    ranking: Ranking
    tests: PairedTest
    agreement: Mapping[tuple[str, str], float | None]


@dataclass(frozen=True)
class _Placed:
    """A row of a board, and the name of the board's data set."""

    name: str
    data: BoardData
    row: MethodRow


def overall(boards: Sequence[tuple[str, BoardData]]) -> list[OverallGroup]:
    """The groups of methods that stand on boards of at least two data sets, the plainest regime first.

    Args:
        boards: each with its path below the leaderboards, which names it where two boards have one data set.
    """
    families: dict[str, list[tuple[str, BoardData]]] = defaultdict(list)
    for path, data in boards:
        few = bool(data.board.protocol.draws)
        families[canonical_json({**data.board.protocol.rules(), "few": few})].append((path, data))
    groups: list[OverallGroup] = []
    for family in families.values():
        named = _named(family)
        for regime, methods in _regimes(named):
            groups += [group for metric in METRICS if (group := _group(regime, methods, metric)) is not None]
    return sorted(groups, key=lambda group: (group.regime, METRICS.index(group.metric), group.protocol))


def _named(family: Sequence[tuple[str, BoardData]]) -> list[tuple[str, BoardData]]:
    datasets = [plain(data.board.dataset) for _, data in family]
    return [
        (dataset if datasets.count(dataset) == 1 else path, data)
        for dataset, (path, data) in zip(datasets, family, strict=True)
    ]


def _regimes(named: Iterable[tuple[str, BoardData]]) -> list[tuple[RegimeGroup, list[list[_Placed]]]]:
    """Verified methods by what they were given: the rows of each, one for each board that it stands on.

    A method whose options were chosen by the test labels of any data set counts as such on all of them.
    """
    methods: dict[tuple[RegimeGroup, str], list[_Placed]] = defaultdict(list)
    for name, data in named:
        share = data.board.protocol.contaminate or 0.0
        for row in (each for each in data.methods if not each.unverified):
            regime = replace(row.regime, tuned_on_test=False, contamination=share)
            methods[regime, row.key].append(_Placed(name, data, row))
    groups: dict[RegimeGroup, list[list[_Placed]]] = defaultdict(list)
    for (regime, _), rows in methods.items():
        tuned = any(placed.row.regime.tuned_on_test for placed in rows)
        groups[replace(regime, tuned_on_test=tuned)].append(rows)
    return sorted(groups.items(), key=lambda item: item[0])


def _group(regime: RegimeGroup, methods: Sequence[Sequence[_Placed]], metric: str) -> OverallGroup | None:
    """The methods of a regime by a metric; None unless at least two stand on at least two data sets."""
    figures = {label: _figures(rows, metric) for label, rows in _labelled(methods).items()}
    figures = {label: own for label, own in figures.items() if own}
    sets = tuple(sorted({name for own in figures.values() for name in own if _counts(name, figures.values())}))
    several = [label for label, own in figures.items() if len(own.keys() & set(sets)) >= LEAST_SETS]
    if len(sets) < LEAST_SETS or len(several) < LEAST_METHODS:
        return None
    shown = {label: {name: figures[label][name] for name in sets if name in figures[label]} for label in several}
    complete = _table({label: [own[name].mean for name in sets] for label, own in shown.items() if _full(own, sets)})
    complete.columns = list(sets)
    categories = _categories(methods, metric, sets, list(complete.index))
    entries = _entries(shown, complete)
    return OverallGroup(
        regime=regime,
        protocol=_protocol(methods[0][0].data),
        metric=metric,
        sets=sets,
        entries=entries,
        ranking=ranking_of(categories),
        tests=_tests(categories, entries[0].label),
        agreement=_agreement(complete),
    )


def _protocol(data: BoardData) -> str:
    """The protocol in words, without the seeds, which may differ between boards."""
    return data.board.protocol.sentence().rpartition(", seeds ")[0]


def _labelled(methods: Sequence[Sequence[_Placed]]) -> dict[str, Sequence[_Placed]]:
    """Methods by label: their name in most records, with the beginning of the key where two share it.

    A dagger marks random weights, as on boards.
    """
    short = short_keys(rows[0].row.key[:32] for rows in methods)
    names = [plain(method_name(record for p in rows for record in p.row.records.values())) for rows in methods]
    labelled = {}
    for name, rows in zip(names, methods, strict=True):
        label = name if names.count(name) == 1 else f"{name} ({short[rows[0].row.key[:32]]})"
        labelled[f"{label} {DAGGER}" if any(placed.row.random for placed in rows) else label] = rows
    return labelled


def _figures(rows: Iterable[_Placed], metric: str) -> dict[str, Figure]:
    """A method's figure on each data set whose board has the metric."""
    on_boards = (placed for placed in rows if metric in placed.data.board.metrics)
    found = {placed.name: figures_of(placed.data, metric).overall[placed.row.key] for placed in on_boards}
    return found if any(figure.mean is not None for figure in found.values()) else {}


def _counts(name: str, figures: Iterable[Mapping[str, Figure]]) -> bool:
    """Whether a data set can compare methods: at least two have a mean on it."""
    return sum(name in own and own[name].mean is not None for own in figures) >= LEAST_METHODS


def _full(own: Mapping[str, Figure], sets: Iterable[str]) -> bool:
    return all(name in own and own[name].mean is not None for name in sets)


def _table(rows: Mapping[str, Sequence[float | None]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_dict(rows, orient="index", dtype=float).round(_DIGITS)


def _categories(
    methods: Sequence[Sequence[_Placed]], metric: str, sets: Sequence[str], complete: Sequence[str]
) -> pd.DataFrame:
    """The figure of each complete method on every category of every data set."""
    rows = _labelled(methods)
    return _table(
        {
            label: [
                figures_of(placed.data, metric).by_category[placed.row.key, category].mean
                for placed in sorted(rows[label], key=lambda placed: placed.name)
                if placed.name in sets
                for category in placed.data.categories
            ]
            for label in complete
        }
    )


def _entries(shown: Mapping[str, Mapping[str, Figure]], complete: pd.DataFrame) -> tuple[OverallRow, ...]:
    ranks = complete.rank(ascending=False)
    entries = []
    for label, own in shown.items():
        if label not in complete.index:
            entries.append(OverallRow(label, own, {}, None, None))
            continue
        placed = ranks.loc[label]
        rank = mean_of_sets(placed.tolist(), 1.0, float(len(complete)))
        entries.append(
            OverallRow(label, own, placed.to_dict(), rank, mean_of_sets(complete.loc[label].tolist(), 0.0, 1.0))
        )
    return tuple(sorted(entries, key=lambda entry: (entry.rank.mean if entry.rank else math.inf, entry.label)))


def mean_of_sets(values: Sequence[float], least: float, most: float) -> MeanOfSets:
    """A mean with its interval over data sets, cut at the least and the greatest value that it can have."""
    from scipy.stats import t

    mean = math.fsum(values) / len(values)
    if len(values) < LEAST_SETS:
        return MeanOfSets(mean, None)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return MeanOfSets(mean, (max(least, mean - reach), min(most, mean + reach)))


def _tests(categories: pd.DataFrame, first: str) -> PairedTest:
    if len(categories) < LEAST_METHODS or categories.shape[1] < LEAST_PAIRS:
        return PairedTest(f"none, with fewer than {LEAST_PAIRS} categories or two methods", {})
    return signed_ranks(categories, first)


def _agreement(complete: pd.DataFrame) -> dict[tuple[str, str], float | None]:
    """Kendall's tau-b of the methods' order on each two data sets: 1 for the same order, -1 for the opposite one."""
    from scipy.stats import kendalltau

    found: dict[tuple[str, str], float | None] = {}
    sets = list(complete.columns) if len(complete) >= LEAST_METHODS else []
    for number, one in enumerate(sets):
        for other in sets[number + 1 :]:
            tau = float(kendalltau(complete[one], complete[other]).statistic)
            found[one, other] = None if math.isnan(tau) else tau
    return found
