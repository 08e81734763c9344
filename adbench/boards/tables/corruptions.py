"""Tables of corrupted test images: what each corruption costs, and the false alarms at the clean threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from adbench.boards.tables.figures import share_cell
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import title_of
from adbench.boards.tables.tidy import BoardData
from adbench.engine.images.pooling import mean_of_all
from adbench.reports import Table

if TYPE_CHECKING:
    from adbench.engine.images.corruption_report import CorruptionReport, PooledFigures

READ_AS = (
    "Methods learned from clean images, and only the test images are corrupted. Each figure is a change in points from"
    " the clean test images, the mean over categories and seeds, for strengths 1 to 5."
)
ALARMS_READ_AS = (
    "Percent of the normal test images that raise an alarm at the threshold from clean normal training images, with the"
    " 95 % interval over draws of test images; all categories and seeds together. The threshold was not set again."
)

Reports = Mapping[str, "CorruptionReport"]
"""Reports by the id of their record."""


class _Measured(NamedTuple):
    """A method on all its units, by corruption and strength; the clean figures are at ``("", 0)``."""

    method: MethodRow
    figures: Mapping[tuple[str, int], PooledFigures]


def corruption_tables(data: BoardData, reports: Reports) -> list[Table]:
    """For each regime the change of the ranking metric, of all metrics, and the false alarms; methods by name.

    Args:
        data: of the board.
        reports: of those records that have one.
    """
    if not reports:
        return []
    tables = []
    for regime, methods in data.regimes:
        rows = [row for method in methods if (row := _row(data, method, reports)) is not None]
        if rows:
            tables += [_strengths(data, regime, rows), _metrics(data, regime, rows), _alarms(regime, rows)]
    return tables


def _row(data: BoardData, method: MethodRow, reports: Reports) -> _Measured | None:
    """The figures of a method that has comparable reports of all units; else None."""
    from adbench.engine.images.corruption_report import alike, pooled

    found = data.of_every_unit(method, reports)
    if not found or not alike(found):
        return None
    return _Measured(method, {(one.name, one.strength): one for one in pooled(found)})


def _corruptions(row: _Measured) -> list[str]:
    return list(dict.fromkeys(name for name, _ in row.figures if name))


def _strengths(data: BoardData, regime: RegimeGroup, rows: Sequence[_Measured]) -> Table:
    metric = data.board.rank_by
    cells = []
    for row in rows:
        clean = row.figures["", 0].drops.get(metric)
        for name in _corruptions(row):
            drops = [_drop(row, name, strength, metric) for strength in _LEVELS]
            first = "n/a" if clean is None else f"{100 * clean:.1f}"
            cells.append((title_of(row.method), name, first, *map(_change, drops), _change(mean_of_all(drops))))
    heads = ("method", "corruption", "clean", *map(str, _LEVELS), "mean")
    return Table(f"Corrupted test images, change of {metric}: {regime}", heads, tuple(cells), (READ_AS,))


def _metrics(data: BoardData, regime: RegimeGroup, rows: Sequence[_Measured]) -> Table:
    metrics = [name for name in data.board.metrics if any(name in row.figures["", 0].drops for row in rows)]
    cells = [
        (
            title_of(row.method),
            name,
            *(_change(mean_of_all(_drop(row, name, strength, metric) for strength in _LEVELS)) for metric in metrics),
        )
        for row in rows
        for name in _corruptions(row)
    ]
    note = "Change in points, the mean over strengths 1 to 5. Pixel metrics compare maps on the grid of the report."
    heads = ("method", "corruption", *metrics)
    return Table(f"Corrupted test images, change of each metric: {regime}", heads, tuple(cells), (note,))


def _alarms(regime: RegimeGroup, rows: Sequence[_Measured]) -> Table:
    cells = [
        (title_of(row.method), name, _share(row, "", 0), *(_share(row, name, strength) for strength in _LEVELS))
        for row in rows
        for name in _corruptions(row)
    ]
    heads = ("method", "corruption", "clean", *map(str, _LEVELS))
    return Table(f"Corrupted test images, false alarms: {regime}", heads, tuple(cells), (ALARMS_READ_AS,))


_LEVELS = (1, 2, 3, 4, 5)


def _drop(row: _Measured, name: str, strength: int, metric: str) -> float | None:
    found = row.figures.get((name, strength))
    return None if found is None else found.drops.get(metric)


def _change(drop: float | None) -> str:
    """A drop as a change in points: a loss has a minus."""
    return "n/a" if drop is None else f"{-100 * drop + 0.0:+.1f}"


def _share(row: _Measured, name: str, strength: int) -> str:
    found = row.figures.get((name, strength))
    return share_cell(None, 0) if found is None else share_cell(found.alarms, found.normals)
