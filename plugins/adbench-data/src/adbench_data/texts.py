"""Tables and lists that come with datasets, read as untrusted files: bounded, and never obeyed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from adbench import DataError, StorageError
from adbench.errors import printable
from adbench.files import read_plain

MAX_BYTES = 256 << 20
"""A list of a million images has about a hundred megabytes."""

Row = dict[str, str]
"""A line of a table, by the names of its columns."""


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text that are not empty.

    Raises:
        DataError: it is missing, cannot be read, is too large, or is no UTF-8.
    """
    if not path.exists():
        raise DataError(f"{printable(path)} is missing; unpack or install the data again")
    try:
        text = read_plain(path, MAX_BYTES, "a list of images")
    except StorageError as error:
        raise DataError(str(error)) from None
    return (line for line in text.removeprefix("\ufeff").splitlines() if line.strip())


def read_table(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The lines of a table of comma-separated values, whose first line names the columns.

    Args:
        path: where it is.
        columns: those that it must have.

    Raises:
        DataError: it cannot be read, lacks a column, or has a line of another length.
    """
    lines = read_lines(path)
    head = next(lines, "")
    separator = max(",;\t", key=head.count)
    names = [name.strip().strip('"').lower() for name in head.split(separator)]
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataError(
            f"{printable(path)}: has no column {missing[0]!r}; its first line names the columns {', '.join(columns)}"
        )
    for number, cells in enumerate(_cells(path, lines, separator), 2):
        if len(cells) != len(names):
            raise DataError(
                f"{printable(path)}, row {number}: has {len(cells)} cells, its head {len(names)}; repair it"
            )
        yield {name: cell.strip() for name, cell in zip(names, cells, strict=True)}


def _cells(path: Path, lines: Iterator[str], separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=separator, strict=True)
    except csv.Error as error:
        raise DataError(f"{printable(path)}: is no table of separated values: {error}; repair it") from None
