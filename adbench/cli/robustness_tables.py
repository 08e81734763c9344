"""The tables of corrupted and of slowly changing test images at the end of a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from adbench.cli.summary import METRICS, terms_of
from adbench.cli.text_table import Column, TextTable
from adbench.engine.images.pooling import share_of
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.engine.evaluate.details import Details
    from adbench.engine.images.corruption_report import CorruptionReport, PooledFigures
    from adbench.engine.images.drift_report import PooledStream, PooledWindow
    from adbench.engine.run.record_builder import UnitOutcome

_ALARMS = (Column("false\nalarms, %", "alarms"), Column("95 %\ninterval", "alarms"))


def robustness_tables(outcomes: Sequence[UnitOutcome]) -> Iterator[TextTable]:
    """The tables of each method, dataset and protocol that has reports: of corruptions, then one for each drift.

    Args:
        outcomes: of units; those without a report are left out.
    """
    from adbench.engine.images.corruption_report import alike
    from adbench.engine.images.drift_report import pooled_drifts

    for title, details in _by_method(outcomes).items():
        reports = [one.corruptions for one in details if one.corruptions is not None]
        if reports and alike(reports):
            yield _corruption_table(title.words, reports)
        drifts = [one.drifts for one in details if one.drifts]
        yield from (_drift_table(title.words, drift) for drift in (pooled_drifts(drifts) if drifts else ()))


class _Title(NamedTuple):
    """What a method's tables are called, and what tells it from a namesake."""

    words: str
    spec_sha: str


def _by_method(outcomes: Sequence[UnitOutcome]) -> Mapping[_Title, list[Details]]:
    groups: dict[_Title, list[Details]] = defaultdict(list)
    for outcome in outcomes:
        details, record = _details_of(outcome), outcome.record
        if details is not None:
            groups[_Title(f"{record.recipe.name} on {terms_of(record)}", record.recipe.spec_sha)].append(details)
    return groups


def _details_of(outcome: UnitOutcome) -> Details | None:
    from adbench.engine.evaluate.details import read_details

    if outcome.record.status == "ok":
        with suppress(StorageError):  # the run could not be saved, or has no details
            details = read_details(outcome.folder)
            return details if details.id == outcome.record.id else None
    return None


def _corruption_table(title: str, reports: Sequence[CorruptionReport]) -> TextTable:
    """Means over categories and seeds, false alarms over all images: a row for each corruption and strength."""
    from adbench.engine.images.corruption_report import pooled

    rows = list(pooled(reports))
    names = [name for name in METRICS if name in rows[0].drops]
    grid = "x".join(map(str, reports[0].grid))
    columns = [Column("corruption"), *(METRICS[name] for name in names), *_ALARMS]
    table = TextTable(f"{title}, corrupted test images: change in points, pixel metrics on {grid} pixels", columns)
    for row in rows:
        table.add(*_corruption_row(row, names), apart=row.strength == 1)
    return table


def _corruption_row(row: PooledFigures, names: Sequence[str]) -> Iterator[str]:
    yield f"{row.name} {row.strength}" if row.name else "clean, %"
    for name in names:
        value = row.drops[name]
        if value is None:
            yield "n/a"
        else:  # a loss is a change with a minus
            yield f"{-100 * value + 0.0:+.1f}" if row.name else f"{100 * value:.1f}"
    yield from share_cells(row.alarms, row.normals)


def _drift_table(title: str, drift: PooledStream) -> TextTable:
    """A row for each window, with the method as it was fitted and, where it can, with updates of its bank."""
    groups = ["frozen", *(["updated"] if drift.updated else [])]
    columns = [Column("window"), Column("level", words=True)]
    for name in groups:
        heads = ("image\nAUROC", "false\nalarms, %", "95 %\ninterval", "found\n%")
        columns += [Column(f"{name}\n{head}", name) for head in heads]
    columns += [Column("images\nadded", "added"), Column("of them\ndefective", "added")] if drift.updated else []
    table = TextTable(f"{title}, a stream that drifts to {drift.name} {drift.strength}: figures in %", columns)
    clean = [cell for _ in groups for cell in _window(drift.clean, drift)]
    table.add("clean", "0", *clean, *(("", "") if drift.updated else ()))
    for number, (low, high) in enumerate(drift.levels):
        shown = [drift.frozen[number], *([drift.updated[number]] if drift.updated else [])]
        added = tuple(map(str, drift.added[number])) if drift.updated else ()
        cells = [cell for window in shown for cell in _window(window, drift)]
        table.add(str(number + 1), f"{low:.1f} to {high:.1f}", *cells, *added, apart=not number)
    return table


def _window(figures: PooledWindow, drift: PooledStream) -> Iterator[str]:
    yield "n/a" if figures.auroc is None else f"{100 * figures.auroc:.1f}"
    yield from share_cells(figures.alarms, drift.normals)
    yield share_cells(figures.found, drift.defective)[0]


def share_cells(count: int | None, total: int) -> tuple[str, str]:
    """A share in percent, and its interval with the points below each other."""
    found = share_of(count, total)
    if found is None:
        return "n/a", ""
    return f"{100 * found.value:.1f}", f"[{100 * found.low:4.1f}, {100 * found.high:4.1f}]"
