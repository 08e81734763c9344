"""A row for each image, in CSV and in JSON lines; at any moment the files hold whole rows only."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from adbench.detector.outputs.lines import LineFile
from adbench.detector.prediction import Prediction
from adbench.engine.store.record import storage_errors
from adbench.errors import BadImage, printable

COLUMNS = ("file", "score", "p_value", "alarm", "threshold", "ms", "notes", "error", "drift")
HEAD = ",".join(COLUMNS) + "\n"
"""The first line of the CSV file."""


def row_of(file: str, outcome: Prediction | BadImage, drift: float | None = None) -> dict[str, Any]:
    """What is written of an image: its scores, or why it cannot be read. An explanation is in JSON lines alone.

    Args:
        file: the image's name in the table.
        outcome: the prediction, or the error with which the image cannot be read.
        drift: the evidence for drift up to this image.
    """
    if isinstance(outcome, BadImage):
        return {**dict.fromkeys(COLUMNS), "file": file, "notes": [], "error": str(outcome)}
    return {
        "file": file,
        "score": outcome.score,
        "p_value": outcome.p_value,
        "alarm": outcome.is_anomalous,
        "threshold": outcome.threshold,
        "ms": round(outcome.milliseconds, 3),
        "notes": list(outcome.notes),
        "error": None,
        "drift": drift,
    }


class RowWriter:
    """Appends rows to two files, whole lines at a time.

    A disk that is full ends the work with an error that says what is there; a line that it cut is taken away, so that
    every line in the files is whole.

    Args:
        folder: holds ``predictions.csv`` and ``predictions.jsonl``.
        fresh: whether files that are there are written anew.
        durable: whether each row is on the disk before the next one, so that no row is lost if the power fails.

    Raises:
        StorageError: disk full or read-only.
    """

    def __init__(self, folder: Path, *, fresh: bool = True, durable: bool = False) -> None:
        self.folder, self.count = folder, 0
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._csv = LineFile(folder / "predictions.csv", fresh=fresh, durable=durable)
            self._json = LineFile(folder / "predictions.jsonl", fresh=fresh, durable=durable)
            if self._csv.size == 0:
                self._csv.append(HEAD)

    def write(self, row: dict[str, Any]) -> None:
        """Append one row to both files.

        Raises:
            StorageError: disk full; the files end with the row before.
        """
        with storage_errors(self.folder):
            size = self._json.size
            self._json.append(json.dumps(row, allow_nan=False) + "\n")
            try:
                self._csv.append(csv_line(row))
            except OSError:
                self._json.cut(size)
                raise
        self.count += 1

    def close(self) -> None:
        """Close the files."""
        self._csv.close()
        self._json.close()

    def __enter__(self) -> RowWriter:  # noqa: PYI034  Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def csv_line(row: dict[str, Any]) -> str:
    """A row as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_cell(row[name]) for name in COLUMNS])
    return line.getvalue()


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return repr(value)
    text = printable("; ".join(value) if isinstance(value, list) else value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
