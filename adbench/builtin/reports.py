"""Tables as Markdown for people and as CSV for spreadsheets. Cells may hold untrusted text: neither runs it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import ClassVar

from adbench.errors import one_line
from adbench.reports import Report, Table

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#@])")
_FIGURE = re.compile(r"[†—]|n/a|[+-]?\d.*|— .*")
_FORMULA = ("=", "+", "-", "@")


class Markdown(Report):
    """GitHub's Markdown. A table without columns becomes a chapter: a heading with its notes."""

    name = "markdown"
    suffix: ClassVar[str] = ".md"

    def render(self, tables: Sequence[Table]) -> str:
        return "\n".join(_section(table) for table in tables)


class Csv(Report):
    """One CSV table, without notes. Several tables share a header and are told apart by a first column `table`."""

    name = "csv"
    suffix: ClassVar[str] = ".csv"

    def render(self, tables: Sequence[Table]) -> str:
        tables = [table for table in tables if table.columns]
        header = list(dict.fromkeys(column for table in tables for column in table.columns))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        many = len(tables) > 1
        writer.writerow([*(["table"] if many else []), *map(_inert, header)])
        for table in tables:
            for row in table.rows:
                cells = dict(zip(table.columns, row, strict=True))
                writer.writerow([*([_inert(table.title)] if many else []), *(_inert(cells.get(c, "")) for c in header)])
        return text.getvalue()


def _section(table: Table) -> str:
    lines = [f"{'##' if table.columns else '#'} {_escape(table.title)}", ""]
    if table.columns:
        lines += [_grid(table), ""]
    return "\n".join([*lines, *(f"- {_escape(note)}" for note in table.notes), *([""] if table.notes else [])])


def _grid(table: Table) -> str:
    """The table in GitHub's Markdown, cells as wide as their text: one that changes leaves other lines as they are."""
    from tabulate import DataRow, TableFormat, tabulate

    row, rules = DataRow("|", "|", "|"), f"|{'|'.join(_rules(table))}|"
    github = TableFormat(None, lambda *_: rules, None, None, row, row, padding=1, with_header_hide=None)
    cells = [list(map(_escape, cells)) for cells in table.rows]
    headings = list(map(_escape, table.columns))
    return str(tabulate(cells, headings, github, numalign=None, stralign=None, disable_numparse=True))


def _rules(table: Table) -> list[str]:
    """Columns that hold mostly figures are flush right."""
    columns = zip(*table.rows, strict=True) if table.rows else [() for _ in table.columns]
    return ["---:" if 2 * sum(map(bool, map(_FIGURE.fullmatch, cells))) > len(cells) else "---" for cells in columns]


def _escape(text: str) -> str:
    """A text for Markdown without markup, HTML, links and line breaks."""
    line = _SPECIAL.sub(r"\\\1", one_line(text, None))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return line.replace("://", ":\\/\\/").replace("www.", "www\\.")


def _inert(cell: str) -> str:
    """A text that a spreadsheet does not take for a formula: an apostrophe before it if necessary."""
    text = one_line(cell, None)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?", text) is not None
