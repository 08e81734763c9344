"""Tables of text from the data of a board: figures, ranks, costs and notes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adbench.boards.board import Board
from adbench.boards.statistics.fingerprint import fingerprint
from adbench.boards.statistics.stats import LEAST_RANKED, Lookup, Ranking, compare, ranking
from adbench.boards.tables.costs import costs_of
from adbench.boards.tables.figures import DASH, FIXED, Figure, figures_of, percent
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import listed, plain
from adbench.reports import Table

DAGGER = "†"
UNVERIFIED_NOTE = (
    "Unverified: nobody has seen the raw scores that these figures should follow from. They are listed as their records"
    " say, count for nothing and have no rank; 'adbench board submit' with the runs and their data verifies them."
)
READ_AS = (
    "Figures are percent, higher is better: the mean over categories of the mean over seeds,"
    f" ± the sample standard deviation over seeds, or {FIXED} where nothing was drawn at random and every seed had the"
    " same images, so that all seeds are one run; then in brackets, where it was measured, the 95 % confidence interval"
    f" over draws of the test images. {DASH} 14/15: only 14 of 15 units (category and seed) are done, so there is no"
    " mean. Ties as shown share a rank."
)
COST_NOTE = (
    "Means over units; peaks are the highest. Compare times only between rows of one device;"
    " a method that ran on several has none."
)


@dataclass(frozen=True)
class Standing:
    """A method's place in its regime.

    Attributes:
        rank: by the board's metric, from 1, shared by ties; None where it has no mean.
        ranks: by each metric of the board.
        figures: by metric.
    """

    rank: int | None
    ranks: tuple[int | None, ...]
    method: MethodRow
    figures: Mapping[str, Figure]


def standings(data: BoardData) -> list[tuple[RegimeGroup, list[Standing]]]:
    """The methods of each regime by rank; those without a rank last, by label. What is unverified has no rank."""
    return data.kept(("standings",), lambda: [(regime, _ranked(data, methods)) for regime, methods in data.regimes])


def _ranked(data: BoardData, methods: Sequence[MethodRow]) -> list[Standing]:
    metrics, by = data.board.metrics, data.board.metrics.index(data.board.rank_by)
    figures = [{name: figures_of(data, name).overall[method.key] for name in metrics} for method in methods]
    counting = [{} if method.unverified else own for method, own in zip(methods, figures, strict=True)]
    ranks = zip(*(ranks_of(own.get(name, Figure(None)) for own in counting) for name in metrics), strict=True)
    found = [Standing(own[by], own, method, shown) for own, method, shown in zip(ranks, methods, figures, strict=True)]
    return sorted(found, key=lambda place: (place.rank or math.inf, place.method.label))


def ranks_of(figures: Iterable[Figure]) -> list[int | None]:
    """Ranks from 1 at the precision of tables; ties share one, and a figure without a mean has none."""
    import pandas as pd

    means = [math.nan if figure.mean is None else float(percent(figure.mean)) for figure in figures]
    ranks = pd.Series(means, dtype=float).rank(method="min", ascending=False)
    return [None if math.isnan(rank) else int(rank) for rank in ranks]


def tables(data: BoardData, details: Lookup = lambda _: None) -> list[Table]:
    """The whole board: its heading, then standings, categories, statistics and costs of each regime.

    Args:
        data: of the board.
        details: finds those of a record by its id.
    """
    result = [heading(data.board)]
    for regime, ranked in standings(data):
        result += [
            standings_table(data, regime, ranked),
            category_table(data, regime, ranked, data.board.rank_by),
            *statistics_tables(data, regime, ranked, details),
            cost_table(data, regime, ranked),
        ]
    return result


def standings_tables(data: BoardData) -> list[Table]:
    """The standings alone, a table for each regime."""
    return [standings_table(data, *group) for group in standings(data)]


def category_tables(data: BoardData, metric: str) -> list[Table]:
    """One metric by category, a table for each regime."""
    return [category_table(data, *group, metric) for group in standings(data)]


def heading(board: Board) -> Table:
    """A table without columns: title, protocol and how to read the figures."""
    protocol = f"Dataset {plain(board.dataset)}: {board.protocol.sentence()}. Ranked by {board.rank_by}."
    return Table(plain(board.title), (), (), (protocol, READ_AS))


def standings_table(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing]) -> Table:
    """Rank, method, every metric of the board, and the fingerprint of all that decides what they mean."""
    protocol, metrics = fingerprint(data, regime), data.board.metrics
    shared = Counter(place.rank for place in ranked)
    rows = tuple(
        (_rank(place, shared), title_of(place.method), *(str(place.figures[name]) for name in metrics), protocol)
        for place in ranked
    )
    notes = [f"Categories: {len(data.categories)}; seeds: {', '.join(map(str, data.seeds))}."]
    notes += [UNVERIFIED_NOTE] if regime.unverified else []
    notes += [f"{DAGGER} random weights, never trained."] if any(place.method.random for place in ranked) else []
    notes += [note for place in ranked for note in notes_on(data, place.method)]
    return Table(f"Standings: {regime}", ("rank", "method", *metrics, "protocol"), rows, tuple(notes))


def title_of(method: MethodRow) -> str:
    """The label, with a dagger for random weights."""
    return f"{method.label} {DAGGER}" if method.random else method.label


def _rank(place: Standing, shared: Mapping[int | None, int]) -> str:
    return DASH if place.rank is None else f"{place.rank}{'=' if shared[place.rank] > 1 else ''}"


def category_table(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing], metric: str) -> Table:
    """One metric, a column for each category, rows in the order of the standings."""
    found = figures_of(data, metric).by_category
    rows = tuple(
        (title_of(place.method), *(str(found[place.method.key, category]) for category in data.categories))
        for place in ranked
    )
    return Table(f"By category, {metric}: {regime}", ("method", *map(plain, data.categories)), rows)


def statistics_tables(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing], details: Lookup) -> list[Table]:
    """The table of average ranks and tests; none if fewer than two methods have a rank."""
    methods, metric = [place.method for place in ranked if place.rank is not None], data.board.rank_by
    if len(methods) < 2:
        return []
    order = ranking(data, methods, metric)
    tests = compare(data, methods[0], methods[1:], metric, details)
    rows = tuple(
        (title_of(method), f"{order.ranks[label]:.2f}", groups_of(label, order), p_text(tests.p.get(label)))
        for method in methods
        for label in (method.label,)
    )
    columns = ("method", "average rank", "group", "p against the first")
    about = f"p: {tests.test}{', corrected for their number (Holm)' if tests.p else ''}."
    return [Table(f"Statistics, {metric}: {regime}", columns, rows, (about_ranking(order), about))]


def groups_of(label: str, order: Ranking) -> str:
    """Consecutive numbers of the groups that hold a method."""
    first, last = order.numbers.get(label, (0, 0))
    return DASH if not first else f"{first}" if first == last else f"{first} to {last}"


def p_text(value: float | None) -> str:
    return DASH if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def about_ranking(order: Ranking) -> str:
    """A sentence on how average ranks and groups were computed."""
    categories = "1 category" if order.categories == 1 else f"{order.categories} categories"
    over = f"Average rank over {categories} of the mean over seeds"
    if order.difference is None or order.friedman is None:
        return f"{over}. Groups need {LEAST_RANKED} categories and {LEAST_RANKED} methods."
    test = f"Friedman's test of all being alike: p {p_text(order.friedman)}"
    return f"{over}. {test}. Methods of one group do not differ (Nemenyi, critical difference {order.difference:.2f})."


def cost_table(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing]) -> Table:
    """The table of costs, each method on its own device."""
    rows = tuple((title_of(place.method), *_costs(costs_of(data)[place.method.key])) for place in ranked)
    columns = ("method", "ms/image p50", "fit s", "peak MB", "peak GPU MB", "bank MB", "device")
    return Table(f"Cost: {regime}", columns, rows, (COST_NOTE,))


def _costs(costs: Mapping[str, Any]) -> tuple[str, ...]:
    digits = {"p50": 1, "fit": 1, "memory": 0, "gpu": 0, "bank": 1}
    cells = (DASH if costs[name] is None else f"{costs[name]:.{count}f}" for name, count in digits.items())
    return (*cells, "; ".join(costs["devices"]) or DASH)


def notes_on(data: BoardData, method: MethodRow) -> list[str]:
    """Sentences on why figures of the method do not count, and on files left out."""
    notes = data.kept(("notes",), lambda: _notes(data)).get(method.key, [])
    skipped = {name for record in method.records.values() for name in record.task.skipped}
    left_out = [f"unreadable files left out: {listed(sorted(skipped))}."] if skipped else []
    return [f"{method.label}: {note}" for note in [*notes, *left_out]]


def _notes(data: BoardData) -> dict[str, list[str]]:
    """Sentences on marks by the key of the method, one for each mark and reason, with its categories and metrics."""
    spots: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for metric in data.board.metrics:
        for key, category, mark, reason in figures_of(data, metric).marked:
            spots[key, mark, reason].append((category, metric))
    notes = defaultdict(list)
    for (key, mark, reason), found in sorted(spots.items()):
        metrics = list(dict.fromkeys(metric for _, metric in found))
        of = "" if len(metrics) == len(data.board.metrics) else f", {', '.join(metrics)}"
        notes[key].append(f"{mark} on {listed(sorted({category for category, _ in found}))}{of}: {reason}.")
    return notes
