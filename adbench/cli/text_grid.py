"""Tables that a window of any width can show: columns that do not fit go into a table below, and no figure is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, chop_cells
from rich.console import Console as RichConsole
from rich.text import Text

from adbench.cli.screen import visible

_GAP = 2
"""Cells between two columns."""
_LEAST = 12
"""Cells that a row's name may have however narrow the window is."""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: its lines apart.
        group: columns of one group stay together if they can.
        words: whether its cells stand on the left, as words do, and not as figures on the right.
    """

    heading: str
    group: str = ""
    words: bool = False


@dataclass
class TextGrid:
    """A table whose first column names its rows.

    Attributes:
        rows: as many cells each as there are columns.
        apart: numbers of the rows that have a line above them.
    """

    title: str
    columns: Sequence[Column]
    rows: list[Sequence[str]] = field(default_factory=list)
    apart: set[int] = field(default_factory=set)

    def add(self, *cells: str, apart: bool = False) -> None:
        """One more row, with a line above it if it stands apart."""
        if apart:
            self.apart.add(len(self.rows))
        self.rows.append([visible(cell) for cell in cells])

    def print(self, console: RichConsole) -> None:
        """Print it in the console's width; where that is no terminal, as plain text on lines of any length."""
        lines = self.drawn(console.width) if console.is_terminal else map(Text, self.plain())
        for line in lines:
            console.print(line, soft_wrap=True)

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
        """The same for a window of so many cells, in as many tables as that takes."""
        yield Text(visible(self.title), style="italic")
        for places in self._split(width):
            yield from self._table(places, width)
            yield Text()

    def _table(self, places: Sequence[int], width: int) -> Iterator[Text]:
        """Some of the columns, with names of rows on as many lines as they need."""
        room = max(_LEAST, width - self._takes(places[1:]))
        widths = [min(self._width(number), room) if number == 0 else self._width(number) for number in places]
        headings = [self.columns[number].heading.split("\n") for number in places]
        rule = Text("─" * (sum(widths) + _GAP * (len(widths) - 1)), style="dim")
        for cells in _bottom(headings):
            yield Text(self._line(cells, places, widths), style="bold")
        yield rule
        for number, row in enumerate(self.rows):
            if number in self.apart:
                yield rule
            first, *more = folded(row[0], widths[0])
            yield Text(self._line([first, *(row[place] for place in places[1:])], places, widths))
            yield from map(Text, more)

    def _line(self, cells: Sequence[str], places: Sequence[int], widths: Sequence[int]) -> str:
        padded = []
        for cell, place, width in zip(cells, places, widths, strict=True):
            room = " " * (width - cell_len(cell))
            padded.append(cell + room if place == 0 or self.columns[place].words else room + cell)
        return (" " * _GAP).join(padded).rstrip()

    def _split(self, width: int) -> Iterator[list[int]]:
        """The columns of each table: as many as fit, and of one group none is parted that would fit as a whole."""
        room = width - min(self._width(0), max(_LEAST, width // 4))
        chunk: list[int] = []
        for group in self._groups(room):
            if chunk and self._takes([*chunk, *group]) > room:
                yield [0, *chunk]
                chunk = []
            chunk += group
        yield [0, *chunk]

    def _groups(self, room: int) -> Iterator[list[int]]:
        """Columns that belong together; one by one where they do not fit together."""
        groups: dict[str, list[int]] = {}
        for number, column in enumerate(self.columns[1:], start=1):
            groups.setdefault(column.group or str(number), []).append(number)
        for group in groups.values():
            yield from [group] if self._takes(group) <= room else [[number] for number in group]

    def _takes(self, places: Sequence[int]) -> int:
        return sum(_GAP + self._width(number) for number in places)

    def _width(self, number: int) -> int:
        lines = [*self.columns[number].heading.split("\n"), *(row[number] for row in self.rows)]
        return max(map(cell_len, lines))


def _bottom(headings: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Line by line headings of several lines, which end on the same one."""
    most = max(map(len, headings))
    for line in range(most):
        yield [lines[line - most] if line >= most - len(lines) else "" for lines in headings]


def folded(name: str, width: int) -> list[str]:
    """A name on lines of a width, broken behind what joins its parts if that will do."""
    lines = [""]
    for piece in re.findall(r"[^-+_,/ ]*[-+_,/ ]+|[^-+_,/ ]+", name):
        if cell_len(lines[-1] + piece.rstrip()) <= width:
            lines[-1] += piece
            continue
        chopped = chop_cells(piece, width)
        lines = [*lines, *chopped] if lines[-1] else chopped
    return [line.rstrip() for line in lines]
