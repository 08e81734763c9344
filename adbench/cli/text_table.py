"""Text tables for a window of any width: columns that do not fit go into a table below, and no figure is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.console import Console as RichConsole
from rich.text import Text

from adbench.cli.screen import visible

if TYPE_CHECKING:
    from adbench.api.report import Table

_GAP = 2
"""Cells between two columns."""
_LEAST = 12
"""Least number of cells for a row's name, in any window."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: one or more lines.
        group: columns of one group stay in one table if they fit.
        words: aligns cells to the left, for words; figures are aligned to the right.
    """

    heading: str
    group: str = ""
    words: bool = False


@dataclass
class TextTable:
    """A table whose first column names its rows.

    Attributes:
        rows: one cell for each column.
        apart: numbers of the rows with a line above them.
    """

    title: str
    columns: Sequence[Column]
    rows: list[Sequence[str]] = field(default_factory=list)
    apart: set[int] = field(default_factory=set)

    def add(self, *cells: str, apart: bool = False) -> None:
        """Add a row, with a line above it if `apart`."""
        if apart:
            self.apart.add(len(self.rows))
        self.rows.append([visible(cell) for cell in cells])

    def print(self, console: RichConsole) -> None:
        """Print the table in the console's width; without a terminal, as plain text on lines of any length."""
        lines = self.drawn(console.width) if console.is_terminal else map(Text, self.plain())
        for line in lines:
            console.print(line, soft_wrap=True)

    def print_fitted(self, console: RichConsole, *, wide: bool = False) -> None:
        """Print the table fitted to the console's width, or with `wide` as plain text on lines of any length."""
        for line in map(Text, self.plain()) if wide else self.drawn(console.width):
            console.print(line, soft_wrap=True)
        if wide:
            console.print()

    def as_report(self) -> Table:
        """The table as reports take it: headings on one line."""
        from adbench.api.report import Table

        headings = (column.heading.replace("\n", " ") for column in self.columns)
        return Table(self.title, tuple(headings), tuple(map(tuple, self.rows)))

    def plain(self) -> Iterator[str]:
        """Title, headings and rows, columns two spaces apart."""
        from tabulate import tabulate

        headings = [column.heading.replace("\n", " ") for column in self.columns]
        sides = ["left" if place == 0 or column.words else "right" for place, column in enumerate(self.columns)]
        yield visible(self.title)
        yield from tabulate(
            [headings, *self.rows], tablefmt="plain", colalign=sides, disable_numparse=True
        ).splitlines()

    def drawn(self, width: int) -> Iterator[Text]:
        """Lines for a window of `width` cells, in one or more tables."""
        yield Text(visible(self.title), style="italic")
        for places in self._split(width):
            yield from self._table(places, width)
            yield Text()

    def _table(self, places: Sequence[int], width: int) -> Iterator[Text]:
        """Lines of one table with some of the columns; long names of rows, and long words, take several lines."""
        room = max(_LEAST, width - self._takes(places[1:], width))
        widths = [min(self._width(0), room), *(self._width(number, width) for number in places[1:])]
        headings = [self.columns[number].heading.split("\n") for number in places]
        rule = Text("─" * (sum(widths) + _GAP * (len(widths) - 1)), style="dim")
        for cells in _bottom(headings):
            yield Text(self._line(cells, places, widths), style="bold")
        yield rule
        for number, row in enumerate(self.rows):
            if number in self.apart:
                yield rule
            pieces = [folded(row[place], wide) for place, wide in zip(places, widths, strict=True)]
            yield from (Text(self._line(line, places, widths)) for line in zip_longest(*pieces, fillvalue=""))

    def _line(self, cells: Sequence[str], places: Sequence[int], widths: Sequence[int]) -> str:
        padded = []
        for cell, place, width in zip(cells, places, widths, strict=True):
            room = " " * (width - cell_len(cell))
            padded.append(cell + room if place == 0 or self.columns[place].words else room + cell)
        return (" " * _GAP).join(padded).rstrip()

    def _split(self, width: int) -> Iterator[list[int]]:
        """The columns of each table: as many as fit; a group that fits into one table stays together."""
        room = width - min(self._width(0), max(_LEAST, width // 4))
        chunk: list[int] = []
        for group in self._groups(room, width):
            if chunk and self._takes([*chunk, *group], width) > room:
                yield [0, *chunk]
                chunk = []
            chunk += group
        yield [0, *chunk]

    def _groups(self, room: int, width: int) -> Iterator[list[int]]:
        """Groups of columns; a group that does not fit is divided into single columns."""
        groups: dict[str, list[int]] = {}
        for number, column in enumerate(self.columns[1:], start=1):
            groups.setdefault(column.group or str(number), []).append(number)
        for group in groups.values():
            yield from [group] if self._takes(group, width) <= room else [[number] for number in group]

    def _takes(self, places: Sequence[int], width: int) -> int:
        return sum(_GAP + self._width(number, width) for number in places)

    def _width(self, number: int, window: int | None = None) -> int:
        """Cells of a column; in a window, words leave a third of it for the names of the rows."""
        heading = max(map(cell_len, self.columns[number].heading.split("\n")))
        wide = max([heading, *(cell_len(row[number]) for row in self.rows)])
        if window is None or not self.columns[number].words:
            return wide
        return min(wide, max(heading, 2 * window // 3 - _GAP))


def _bottom(headings: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Lines of headings with several lines, aligned at the bottom."""
    most = max(map(len, headings))
    for line in range(most):
        yield [lines[line - most] if line >= most - len(lines) else "" for lines in headings]


def folded(name: str, width: int) -> list[str]:
    """A name on lines of at most `width` cells, broken after separators if possible."""
    lines = [""]
    for piece in re.findall(r"[^-+_,/ ]*[-+_,/ ]+|[^-+_,/ ]+", name):
        if cell_len(lines[-1] + piece.rstrip()) <= width:
            lines[-1] += piece
            continue
        chopped = chop_cells(piece, width)
        lines = [*lines, *chopped] if lines[-1] else chopped
    return [line.rstrip() for line in lines]
