"""The tables of corrupted test images at the end of a run: a row for each corruption and strength."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from adbench.cli.summary import METRICS, terms_of
from adbench.cli.text_table import Column, TextTable
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.engine.images.corruption_report import CorruptionReport, PooledFigures
    from adbench.engine.run.record_builder import UnitOutcome


def corruption_tables(outcomes: Sequence[UnitOutcome]) -> Iterator[TextTable]:
    """A table for each method, dataset and protocol: means over categories and seeds, false alarms over all images.

    Args:
        outcomes: of units; those without a report are left out.
    """
    from adbench.engine.images.corruption_report import alike, pooled

    groups: dict[tuple[str, str], list[CorruptionReport]] = defaultdict(list)
    for outcome in outcomes:
        report = _report_of(outcome)
        if report is not None:
            record = outcome.record
            groups[record.recipe.spec_sha, f"{record.recipe.name} on {terms_of(record)}"].append(report)
    for (_, title), reports in groups.items():
        if alike(reports):
            yield _table(title, reports[0], list(pooled(reports)))


def _report_of(outcome: UnitOutcome) -> CorruptionReport | None:
    from adbench.engine.evaluate.details import read_details

    if outcome.record.status == "ok":
        with suppress(StorageError):  # the run could not be saved, or has no details
            details = read_details(outcome.folder)
            return details.corruptions if details.id == outcome.record.id else None
    return None


def _table(title: str, report: CorruptionReport, rows: Sequence[PooledFigures]) -> TextTable:
    names = [name for name in METRICS if name in rows[0].drops]
    grid = "x".join(map(str, report.grid))
    columns = [
        Column("corruption"),
        *(METRICS[name] for name in names),
        Column("false alarms\n95 % interval", "alarms"),
    ]
    table = TextTable(f"{title}, corrupted test images: change in points, pixel metrics on {grid} pixels", columns)
    for row in rows:
        label, sign = (f"{row.name} {row.strength}", "+") if row.name else ("clean, %", "")
        figures = (_points(row.drops[name], sign) for name in names)
        table.add(label, *figures, _alarms(row), apart=row.strength == 1)
    return table


def _points(value: float | None, sign: str) -> str:
    """A drop as a change: a loss has a minus."""
    if value is None:
        return "n/a"
    return f"{100 * (-value if sign else value) + 0.0:{sign}.1f}"


def _alarms(row: PooledFigures) -> str:
    from adbench.engine.images.corruption_report import wilson_interval

    if row.alarms is None or not row.normals:
        return "n/a"
    low, high = wilson_interval(row.alarms, row.normals)
    return f"{100 * row.alarms / row.normals:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
