"""Ways to show a table of results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from adbench.api.component import Component


@dataclass(frozen=True)
class Table:
    """A table ready to be shown: every cell is text already.

    Attributes:
        title: one line above it.
        columns: the header.
        rows: cells, as many as columns in each row.
        notes: lines below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


class Report(Component):
    """Renders tables as text.

    Attributes:
        suffix: of the file that holds the text, such as ``".md"``.
    """

    kind: ClassVar[str] = "report"
    suffix: ClassVar[str]

    @abstractmethod
    def render(self, tables: Sequence[Table]) -> str:
        """The text of the tables, ending with a newline. The same tables give the same bytes."""
