"""Tables of methods that name the type of a defect: calibration and sets, and what the images of each type pass for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import title_of
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.reports import Table

if TYPE_CHECKING:
    from adbench.engine.store.class_report import ClassReport

READ_AS = (
    "The mean over categories and seeds. Calibration error: the difference between the probability of the named class"
    " and the share of images where it is right, in 15 bins; lower is better. Conformal sets have the classes of an"
    " image so that one set in ten may miss its class, calibrated on the other test images and their labels; smaller is"
    " better."
    " Lowest coverage: of the class whose sets miss it most."
)
TYPES_READ_AS = "All seeds together. Named: how many of the images pass for each class, by the most probable one."

Reports = Mapping[str, "ClassReport"]
"""Reports by the id of their record."""


class _Measured(NamedTuple):
    """A method, and its reports by category."""

    method: MethodRow
    reports: Mapping[str, Sequence[ClassReport]]

    @property
    def all(self) -> list[ClassReport]:
        return [report for reports in self.reports.values() for report in reports]


def class_tables(data: BoardData, reports: Reports) -> list[Table]:
    """For each regime the figures of calibration and sets, and the images of each type; methods by name.

    Args:
        data: of the board.
        reports: of those records that have one.
    """
    if not reports:
        return []
    tables = []
    for regime, methods in data.regimes:
        rows = [row for method in methods if (row := _row(data, method, reports)).reports]
        if rows:
            tables += [_figures(regime, rows), _types(regime, rows)]
    return tables


def _row(data: BoardData, method: MethodRow, reports: Reports) -> _Measured:
    """The reports of a method that has one of every unit; else none."""
    found = data.of_every_unit(method, reports)
    in_order = iter(found)
    return _Measured(method, {name: list(islice(in_order, len(data.seeds))) for name in data.categories if found})


def _figures(regime: RegimeGroup, rows: Sequence[_Measured]) -> Table:
    cells = [
        (
            title_of(row.method),
            _percent([report.calibration_error for report in row.all]),
            f"{_mean([report.set_size for report in row.all]):.2f}",
            _percent([report.coverage for report in row.all]),
            _percent([report.lowest_coverage for report in row.all]),
        )
        for row in rows
    ]
    heads = ("method", "calibration error", "classes in a set", "coverage", "lowest coverage")
    return Table(f"Named classes: {regime}", heads, tuple(cells), (READ_AS,))


def _types(regime: RegimeGroup, rows: Sequence[_Measured]) -> Table:
    cells = [(title_of(row.method), *cell) for row in rows for cell in _of_types(row)]
    heads = ("method", "category", "type", "images", "recall", "named")
    return Table(f"Types of defects: {regime}", heads, tuple(cells), (TYPES_READ_AS,))


def _of_types(row: _Measured) -> Iterator[tuple[str, ...]]:
    """Category, type, images, recall and confusions of each type of a method."""
    for category, reports in row.reports.items():
        said: dict[str, dict[str, int]] = {}
        for report in reports:
            for name, counts in zip(report.names, report.confusion, strict=True):
                of_type = said.setdefault(name, {})
                for other, count in zip(report.names, counts, strict=True):
                    of_type[other] = of_type.get(other, 0) + count
        for name, counted in said.items():
            images = sum(counted.values())
            if images:
                recall = f"{100 * counted.get(name, 0) / images:.1f}"
                yield plain(category), plain(name), str(images), recall, _named(counted)


def _named(counts: Mapping[str, int]) -> str:
    """Classes that images pass for, most frequent first."""
    named = sorted(((-count, name) for name, count in counts.items() if count))
    return ", ".join(f"{plain(name)} {-count}" for count, name in named)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _percent(values: Sequence[float]) -> str:
    return f"{100 * _mean(values):.1f}"
