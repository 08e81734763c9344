"""Tables of text from tidy rows: figures, ranks, costs and notes. Pure: the order of the records does not matter."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adbench.boards.board import Board
from adbench.boards.statistics.fingerprint import fingerprint
from adbench.boards.statistics.stats import LEAST_RANKED, Lookup, Ranking, compare, ranking
from adbench.boards.tables.costs import costs_of
from adbench.boards.tables.tidy import BoardData, MethodRow, Reading, RegimeGroup, UnitKey
from adbench.boards.text import plain
from adbench.reports import Table

DASH = "—"
DAGGER = "†"
FIXED = "det."
UNVERIFIED_NOTE = (
    "Unverified: nobody has seen the raw scores that these figures should follow from. They are listed as their records"
    " say, count for nothing and have no rank; 'adbench board submit' with the runs and their data verifies them."
)
SHOWN_NAMES = 6
ROUNDING = 1e-6
"""Largest difference of a figure between numbers of threads, for the same method on the same images."""
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
class Figure:
    """One cell of a table.

    Attributes:
        mean: a fraction; None unless all units are done and none is undefined.
        spread: over seeds; None with one seed.
        mark: shown instead of a mean.
        interval: of 95 % confidence over draws of the test images; None unless all units have one.
        fixed: whether every seed gives the same, so that a spread means nothing.
    """

    mean: float | None
    spread: float | None = None
    mark: str = ""
    interval: tuple[float, float] | None = None
    fixed: bool = False

    def __str__(self) -> str:
        if self.mean is None:
            return self.mark
        spread = "" if self.spread is None else f" {FIXED}" if self.fixed else f" ± {percent(self.spread)}"
        interval = "" if self.interval is None else " [{}, {}]".format(*map(percent, self.interval))
        return f"{percent(self.mean)}{spread}{interval}"


@dataclass(frozen=True)
class Standing:
    """A method's place in its regime.

    Attributes:
        rank: from 1, shared by ties; None where the ranking metric has no mean.
        figures: by metric.
    """

    rank: int | None
    method: MethodRow
    figures: Mapping[str, Figure]


def percent(fraction: float) -> str:
    """One decimal, as the field writes it."""
    return f"{100 * fraction:.1f}"


def tables(data: BoardData, details: Lookup = lambda _: None) -> list[Table]:
    """The whole board: its heading, then standings, categories, statistics and costs of each regime.

    Args:
        data: of the board.
        details: finds those of a record by its id.
    """
    board = data.board
    result = [heading(board)]
    for regime, methods in data.regimes():
        ranked = standings(board, data, methods)
        result += [
            standings_table(board, data, regime, ranked),
            category_table(data, regime, ranked, board.rank_by),
            *statistics_tables(data, regime, ranked, details),
            cost_table(data, regime, ranked),
        ]
    return result


def standings_tables(data: BoardData) -> list[Table]:
    """The standings alone, a table for each regime."""
    board = data.board
    return [standings_table(board, data, regime, standings(board, data, ms)) for regime, ms in data.regimes()]


def category_tables(data: BoardData, metric: str) -> list[Table]:
    """One metric by category, a table for each regime."""
    return [category_table(data, regime, standings(data.board, data, ms), metric) for regime, ms in data.regimes()]


def heading(board: Board) -> Table:
    """A table without columns: title, protocol and how to read the figures."""
    protocol = f"Dataset {plain(board.dataset)}: {board.protocol.sentence()}. Ranked by {board.rank_by}."
    return Table(plain(board.title), (), (), (protocol, READ_AS))


def figure(readings: Mapping[UnitKey, Reading], units: Sequence[UnitKey]) -> Figure:
    """The mean over categories of the mean over seeds, if every unit is done and defined."""
    found = [readings.get(unit) for unit in units]
    done = sum(reading is not None and reading.counts for reading in found)
    if done < len(units):
        marks = {DASH if reading is None else reading.mark for reading in found}
        word = marks.pop() if len(marks) == 1 else DASH
        return Figure(None, mark=word if len(units) == 1 else f"{word} {done}/{len(units)}")
    by_seed: dict[int, list[float]] = defaultdict(list)
    for unit, reading in zip(units, found, strict=True):
        if reading is None or reading.value is None:
            return Figure(None, mark="n/a")
        by_seed[unit.seed].append(reading.value)
    if not by_seed:
        return Figure(None, mark="n/a")
    means = [statistics.fmean(by_seed[seed]) for seed in sorted(by_seed)]
    spread, fixed = _spread(means), _fixed(readings, units, means)
    return Figure(statistics.fmean(means), spread, interval=_interval(readings, units), fixed=fixed)


def _fixed(readings: Mapping[UnitKey, Reading], units: Sequence[UnitKey], means: Sequence[float]) -> bool:
    """Whether nothing was drawn at random, and all seeds of a category have the same images and the same figure."""
    images: dict[str, set[str]] = defaultdict(set)
    for unit in units:
        images[unit.category].add(readings[unit].fixed)
    return max(means) - min(means) <= ROUNDING and all(len(seen) == 1 and "" not in seen for seen in images.values())


def _spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; `statistics.stdev` computes in fractions, which is slow."""
    mean = statistics.fmean(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None


def _interval(readings: Mapping[UnitKey, Reading], units: Sequence[UnitKey]) -> tuple[float, float] | None:
    """The interval of a mean, from the intervals of its parts (MOVER: Zou and Donner, Statistics in Medicine 27, 2008).

    Categories are independent: the squares of their distances below and above the figure add up. Seeds of a category
    share its images: their distances are averaged, as if their errors were the same.
    """
    below, above, values = defaultdict(list), defaultdict(list), []
    for unit in units:
        value, interval = readings[unit].value, readings[unit].interval
        if value is None or interval is None:
            return None
        values.append(value)
        below[unit.category].append(value - interval[0])
        above[unit.category].append(interval[1] - value)
    low, high = (math.hypot(*map(statistics.fmean, reach.values())) / len(reach) for reach in (below, above))
    mean = statistics.fmean(values)
    return max(0.0, mean - low), min(1.0, mean + high)


def standings(board: Board, data: BoardData, methods: Iterable[MethodRow]) -> list[Standing]:
    """Methods of one regime by rank; those without a rank last, by label. Figures that look alike share a rank.

    What is unverified has none.
    """
    rows = [(method, {metric: overall(data, method, metric) for metric in board.metrics}) for method in methods]
    ranks = ranks_of(Figure(None) if method.unverified else figures[board.rank_by] for method, figures in rows)
    found = [Standing(rank, *row) for rank, row in zip(ranks, rows, strict=True)]
    return sorted(found, key=lambda place: (place.rank or math.inf, place.method.label))


def ranks_of(figures: Iterable[Figure]) -> list[int | None]:
    """Ranks from 1 at the precision of tables; ties share one, and a figure without a mean has none."""
    import pandas as pd

    means = [math.nan if figure.mean is None else float(percent(figure.mean)) for figure in figures]
    ranks = pd.Series(means, dtype=float).rank(method="min", ascending=False)
    return [None if math.isnan(rank) else int(rank) for rank in ranks]


def overall(data: BoardData, method: MethodRow, metric: str) -> Figure:
    """The method's figure over all units of the board."""
    return data.kept(("overall", method.key, metric), lambda: figure(data.readings(method, metric), data.units))


def standings_table(board: Board, data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing]) -> Table:
    """Rank, method, every metric of the board, and the fingerprint of all that decides what they mean."""
    protocol = fingerprint(data, regime)
    shared = Counter(place.rank for place in ranked)
    rows = tuple(
        (_rank(place, shared), title_of(place.method), *(str(place.figures[name]) for name in board.metrics), protocol)
        for place in ranked
    )
    notes = [f"Categories: {len(data.categories)}; seeds: {', '.join(map(str, data.seeds))}."]
    notes += [UNVERIFIED_NOTE] if regime.unverified else []
    notes += [f"{DAGGER} random weights, never trained."] if any(place.method.random for place in ranked) else []
    for place in ranked:
        notes += notes_on(board, data, place.method)
    return Table(f"Standings: {regime}", ("rank", "method", *board.metrics, "protocol"), rows, tuple(notes))


def title_of(method: MethodRow) -> str:
    """The label, with a dagger for random weights."""
    return f"{method.label} {DAGGER}" if method.random else method.label


def _rank(place: Standing, shared: Mapping[int | None, int]) -> str:
    return DASH if place.rank is None else f"{place.rank}{'=' if shared[place.rank] > 1 else ''}"


def category_table(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing], metric: str) -> Table:
    """One metric, a column for each category, rows in the order of the standings."""
    rows = []
    for place in ranked:
        readings = data.readings(place.method, metric)
        cells = (figure(readings, [UnitKey(category, seed) for seed in data.seeds]) for category in data.categories)
        rows.append((title_of(place.method), *map(str, cells)))
    columns = ("method", *(plain(category) for category in data.categories))
    return Table(f"By category, {metric}: {regime}", columns, tuple(rows))


def statistics_tables(data: BoardData, regime: RegimeGroup, ranked: Sequence[Standing], details: Lookup) -> list[Table]:
    """The table of average ranks and tests; none if fewer than two methods have a rank."""
    methods, metric = [place.method for place in ranked if place.rank is not None], data.board.rank_by
    if len(methods) < 2:
        return []
    order = ranking(data, methods, metric)
    tests = compare(data, methods[0], methods[1:], metric, details)
    rows = tuple(
        (title_of(method), f"{order.ranks[label]:.2f}", _groups_of(label, order), _p(tests.p.get(label)))
        for method in methods
        for label in (method.label,)
    )
    columns = ("method", "average rank", "group", "p against the first")
    about = f"p: {tests.test}{', corrected for their number (Holm)' if tests.p else ''}."
    return [Table(f"Statistics, {metric}: {regime}", columns, rows, (_about(order), about))]


def _groups_of(label: str, order: Ranking) -> str:
    """Consecutive numbers of the groups that hold a method."""
    mine = [number for number, group in enumerate(order.groups, start=1) if label in group]
    return DASH if not mine else f"{mine[0]}" if len(mine) == 1 else f"{mine[0]} to {mine[-1]}"


def _p(value: float | None) -> str:
    return DASH if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _about(order: Ranking) -> str:
    """A sentence on how average ranks and groups were computed."""
    categories = "1 category" if order.categories == 1 else f"{order.categories} categories"
    over = f"Average rank over {categories} of the mean over seeds"
    if order.difference is None or order.friedman is None:
        return f"{over}. Groups need {LEAST_RANKED} categories and {LEAST_RANKED} methods."
    test = f"Friedman's test of all being alike: p {_p(order.friedman)}"
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


def notes_on(board: Board, data: BoardData, method: MethodRow) -> list[str]:
    """Sentences on why figures of the method do not count, and on files left out."""
    spots: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for metric in board.metrics:
        for unit, reading in data.readings(method, metric).items():
            if reading.mark:
                spots[reading.mark, reading.reason].append((metric, unit.category))
    notes = [_note(board, method, mark, reason, where) for (mark, reason), where in sorted(spots.items())]
    skipped = {name for record in method.records.values() for name in record.task.skipped}
    return notes + ([f"{method.label}: unreadable files left out: {_names(skipped)}."] if skipped else [])


def _note(board: Board, method: MethodRow, mark: str, reason: str, where: Sequence[tuple[str, str]]) -> str:
    metrics = [metric for metric in board.metrics if any(metric == named for named, _ in where)]
    of = "" if len(metrics) == len(board.metrics) else f", {', '.join(metrics)}"
    return f"{method.label}: {mark} on {_names({category for _, category in where})}{of}: {reason}."


def _names(names: set[str]) -> str:
    shown = [plain(name) for name in sorted(names)[:SHOWN_NAMES]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
