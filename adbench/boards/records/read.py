"""A reader of records from runs, boards and files. It does not check what a board checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adbench import StorageError
from adbench.boards.records.line_files import is_line_file, line_files
from adbench.boards.records.records_io import FoundRecord, read_lines, read_run
from adbench.engine.store.record import ResultRecord, find_runs

_FOLDERS = ("records", "*/records", "*/*/records")


def read_records(*places: Path | str) -> list[ResultRecord]:
    """The records in each place, sorted by file, those with the same id once.

    Args:
        places: folders of runs, single runs, leaderboards, single boards, or files of records (`.jsonl.xz`;
            `.jsonl` in older boards).

    Raises:
        StorageError: a place holds no record, or one that cannot be read.
    """
    found: dict[str, ResultRecord] = {}
    for path in map(Path, places):
        here = list(_found(path))
        if not here:
            raise StorageError(f"{path}: holds no record; give a folder of runs, or leaderboards")
        for one in here:
            if isinstance(one, str):
                raise StorageError(one)
            found.setdefault(one.record.id, one.record)
    return list(found.values())


def _found(path: Path) -> Iterator[FoundRecord | str]:
    if is_line_file(path):
        yield from (found for _, found in read_lines(path))
        return
    yield from map(read_run, find_runs(path))
    files = sorted({file for pattern in _FOLDERS for folder in path.glob(pattern) for file in line_files(folder)})
    yield from (found for file in files for _, found in read_lines(file))
