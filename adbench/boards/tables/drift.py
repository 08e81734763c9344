"""Tables of test images that change slowly: false alarms and image AUROC along the stream, with and without updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from adbench.boards.tables.figures import share_cell
from adbench.boards.tables.methods import MethodRow, RegimeGroup
from adbench.boards.tables.table import title_of
from adbench.boards.tables.tidy import BoardData
from adbench.reports import Table

if TYPE_CHECKING:
    from adbench.engine.images.drift_report import DriftReport, PooledStream, PooledWindow

READ_AS = (
    "The test images arrive as a stream in which a corruption grows evenly from nothing to the strength of the row."
    " Each window shows every test image once. The threshold comes from clean normal training images and is never set"
    " again. 'updated' learns after each window from the images that raised no alarm, and judges only images that it"
    " never learned from; labels decide nothing."
)
ALARMS_READ_AS = (
    "Percent of the normal images of a window that raise an alarm, with the 95 % interval over draws of test images;"
    " all categories and seeds together."
)

Drifts = Mapping[str, Sequence["DriftReport"]]
"""Reports by the id of their record."""


class _Measured(NamedTuple):
    """A method on one stream, as it was fitted or with updates."""

    method: MethodRow
    drift: PooledStream
    how: str
    windows: Sequence[PooledWindow]

    @property
    def head(self) -> tuple[str, str, str]:
        return title_of(self.method), f"{self.drift.name} {self.drift.strength}", self.how


def drift_tables(data: BoardData, drifts: Drifts) -> list[Table]:
    """For each regime the image AUROC and the false alarms of each window; methods by name.

    Args:
        data: of the board.
        drifts: reports of those records that have some.
    """
    if not drifts:
        return []
    tables = []
    for regime, methods in data.regimes:
        rows = [row for method in methods for row in _rows(data, method, drifts)]
        if rows:
            tables.append(_table("image AUROC", regime, rows, _auroc, READ_AS))
            tables.append(_table("false alarms", regime, rows, _alarms, ALARMS_READ_AS))
    return tables


def _rows(data: BoardData, method: MethodRow, drifts: Drifts) -> Iterator[_Measured]:
    """The rows of a method on streams that all of its units have."""
    from adbench.engine.images.drift_report import pooled_drifts

    found = data.of_every_unit(method, drifts)
    for drift in pooled_drifts(found) if found else ():
        yield _Measured(method, drift, "frozen", drift.frozen)
        if drift.updated:
            yield _Measured(method, drift, "updated", drift.updated)


def _table(
    what: str,
    regime: RegimeGroup,
    rows: Sequence[_Measured],
    cell: Callable[[PooledWindow, PooledStream], str],
    note: str,
) -> Table:
    most = max(len(row.windows) for row in rows)
    cells = [
        (
            *row.head,
            *(cell(window, row.drift) for window in (row.drift.clean, *row.windows)),
            *[""] * (most - len(row.windows)),
        )
        for row in rows
    ]
    heads = ("method", "drift", "bank", "clean", *(str(number + 1) for number in range(most)))
    return Table(f"Slowly changing test images, {what}: {regime}", heads, tuple(cells), (note,))


def _auroc(window: PooledWindow, _: PooledStream) -> str:
    return "n/a" if window.auroc is None else f"{100 * window.auroc:.1f}"


def _alarms(window: PooledWindow, drift: PooledStream) -> str:
    return share_cell(window.alarms, drift.normals)
