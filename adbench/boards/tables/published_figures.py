"""Figures of papers beside our own: never ranked, and compared where a recipe claims to reproduce them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adbench.boards.board import Board
from adbench.boards.records.keys import method_name, shots_of
from adbench.boards.records.published import Published
from adbench.boards.tables.figures import DASH, figures_of
from adbench.boards.tables.methods import MethodRow
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.reports import Table

PUBLISHED_NOTE = (
    "Published, not measured: figures of papers and repositories, each under its own convention, in percent. They are"
    " no rows of this board and have no rank: between two conventions the same method's figure moves by points, see"
    " docs/aupro-conventions.md."
)
FIDELITY_NOTE = (
    "Measured minus published, in points, for recipes that claim to reproduce a figure; only metrics on which both"
    " conventions agree. A recipe's file says where it differs from its paper."
)

COLUMNS = ("recipe", "reproduces", "metric", "published", "measured", "difference", "tolerance", "result", "furthest")


def published_tables(board: Board, published: Sequence[Published]) -> list[Table]:
    """Published figures on the board's dataset, by method; no table if there are none."""
    shown = [entry for entry in published if entry.concerns(board)]
    if not shown:
        return []
    named = {name for entry in shown for name in entry.figures}
    metrics = [*(name for name in board.metrics if name in named), *sorted(named - set(board.metrics))]
    rows = tuple(
        (
            entry.method,
            entry.given,
            *(f"{entry.figures[name]:.1f}" if name in entry.figures else DASH for name in metrics),
            entry.convention,
            f"{entry.source} ({entry.evidence})",
        )
        for entry in sorted(shown, key=lambda entry: (entry.method.lower(), str(entry.shots).zfill(3)))
    )
    columns = ("method", "learned from", *metrics, "convention", "source")
    return [Table("Published, not measured", columns, rows, (PUBLISHED_NOTE,))]


def fidelity_tables(data: BoardData, published: Sequence[Published]) -> list[Table]:
    """Published and measured figures of recipes that reproduce a paper; no table where none claims to."""
    claims = [entry for entry in published if entry.recipe and entry.concerns(data.board)]
    if not claims:
        return []
    rows = tuple(row for entry in claims for row in _rows(entry, data))
    return [Table("Fidelity", COLUMNS, rows, (FIDELITY_NOTE,))]


def _rows(entry: Published, data: BoardData) -> Iterator[tuple[str, ...]]:
    methods = [method for method in data.methods if _is(method, entry) and not method.unverified]
    for metric, tolerance in entry.tolerance.items():
        target = entry.figures[metric]
        head = (f"{entry.method} ({entry.given})", metric, f"{target:.1f}")
        for method in methods:
            found = figures_of(data, metric).overall[method.key]
            if found.mean is None:
                yield (method.label, *head, found.mark, DASH, f"{tolerance:.1f}", "not measured", DASH)
                continue
            apart = 100 * found.mean - target
            result = "pass" if abs(apart) <= tolerance else "fail"
            furthest = _furthest(entry, data, method, metric)
            yield (method.label, *head, str(found), f"{apart:+.1f}", f"{tolerance:.1f}", result, furthest)
        if not methods:
            yield (entry.recipe, *head, DASH, DASH, f"{tolerance:.1f}", "not measured", DASH)


def _is(method: MethodRow, entry: Published) -> bool:
    records = list(method.records.values())
    shots = 0 if entry.shots == "all" else entry.shots
    return method_name(records) == entry.recipe and all(shots_of(record) == shots for record in records)


def _furthest(entry: Published, data: BoardData, method: MethodRow, metric: str) -> str:
    """The category whose figure is furthest from the published one."""
    targets, found = entry.categories.get(metric, {}), figures_of(data, metric).by_category
    means = {category: found[method.key, category].mean for category in data.categories if category in targets}
    apart = {name: 100 * mean - targets[name] for name, mean in means.items() if mean is not None}
    name = max(apart, key=lambda category: (abs(apart[category]), category), default="")
    return f"{plain(name)} {apart[name]:+.1f}" if name else DASH
