"""The tables of a watched folder, which continue after the end of a process, even if it was killed.

A row counts from the moment when its line is whole in ``predictions.jsonl``; ``predictions.csv`` follows from that
file, and of the contours in ``coco.jsonl`` those count whose image has a row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adbench.api.atomic_file import TEMPORARY, atomic_write, temporary_file
from adbench.detector.outputs.lines import LineFile
from adbench.detector.outputs.rows import HEAD, RowWriter, csv_line
from adbench.engine.process.lock import unit_lock
from adbench.engine.store.record import storage_errors
from adbench.errors import StorageError, UsageError

CONTOURS = "coco.jsonl"
"""Holds a line for each image with contours, of which ``coco.json`` is made."""
OWNER = "watch.json"
"""Says which detector the rows of a folder come from."""


@contextmanager
def journal_of(folder: Path, detector: str) -> Iterator[Journal]:
    """Open the tables of a folder for one process.

    Args:
        folder: made if it is not there.
        detector: the sha256 of the detector's file.

    Raises:
        UsageError: another process writes there, or the folder holds predictions of another detector.
        StorageError: the disk is full or read-only, or a line in the middle of the tables is damaged.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with unit_lock(folder, "watch", wait=False) as locked:
        if not locked:
            raise UsageError(f"another 'adbench watch' writes to {folder}; stop it, or give another --out")
        with storage_errors(folder):
            _own(folder, detector)
            _repair(folder)
        journal = Journal(folder)
        try:
            yield journal
        finally:
            journal.close()


class Journal:
    """The tables of a watched folder, open.

    Args:
        folder: whose tables are repaired.

    Attributes:
        writer: appends rows; each is on the disk before the next one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "predictions.jsonl"
        self.writer = RowWriter(folder, fresh=False, durable=True)
        self._contours: LineFile | None = None

    def contours(self) -> LineFile:
        """The lines of ``coco.json``; each is on the disk before the next one.

        Raises:
            StorageError: the folder cannot be written.
        """
        if self._contours is None:
            with storage_errors(self._folder):
                self._contours = LineFile(self._folder / CONTOURS, fresh=False, durable=True)
        return self._contours

    def close(self) -> None:
        """Close all files."""
        self.writer.close()
        if self._contours is not None:
            self._contours.close()

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows so far.

        Raises:
            StorageError: a line is damaged.
        """
        yield from _rows(self._path, "file")


def _own(folder: Path, detector: str) -> None:
    path, owner = folder / OWNER, json.dumps({"detector": detector})
    if path.exists():
        if path.read_text(encoding="utf-8", errors="replace") != owner:
            raise UsageError(f"{folder} holds predictions of another detector; give another --out")
    elif (folder / "predictions.jsonl").exists():
        raise UsageError(f"{folder} holds predictions of 'adbench predict'; give another --out")
    else:
        atomic_write(path, owner)


def _repair(folder: Path) -> None:
    """Remove unfinished files of a killed process, and write the CSV file again from the rows."""
    for unfinished in folder.rglob(f"{TEMPORARY}*"):
        unfinished.unlink(missing_ok=True)
    path = folder / "predictions.jsonl"
    path.touch()
    _cut_last_line(path)
    known = set()
    with temporary_file(folder / "predictions.csv") as temporary:
        temporary.file.write(HEAD.encode())
        for row in _rows(path, "file"):
            known.add(row["file"])
            temporary.file.write(csv_line(row).encode("utf-8", "backslashreplace"))
        temporary.file.close()
        temporary.publish()
    if (folder / CONTOURS).exists():
        _repair_contours(folder / CONTOURS, known)


def _repair_contours(path: Path, known: set[str]) -> None:
    """Take away the contours of images without a row: these are scored again."""
    _cut_last_line(path)
    with temporary_file(path) as temporary:
        for image in _rows(path, "file_name"):
            if image["file_name"] in known:
                temporary.file.write((json.dumps(image) + "\n").encode())
        temporary.file.close()
        temporary.publish()


def _cut_last_line(path: Path) -> None:
    """Remove a last line that does not end."""
    with path.open("r+b") as file:
        size = whole = file.seek(0, os.SEEK_END)
        while whole:
            start = max(0, whole - 65536)
            file.seek(start)
            end = file.read(whole - start).rfind(b"\n")
            whole = start + end + 1 if end >= 0 else start
            if end >= 0:
                break
        if whole < size:
            file.truncate(whole)


def _rows(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file of lines, each of which has a name under this key."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            yield _row(path, name, number, line)


def _row(path: Path, name: str, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get(name), str):
        raise StorageError(f"{path}: line {number} is damaged; remove that line, and its image is scored again")
    return row
