"""Tables of pandas as files: CSV for spreadsheets, Parquet for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adbench import UsageError
from adbench.engine.store.record import storage_errors

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@")


def write_frame(frame: pd.DataFrame, file: Path) -> None:
    """Write a table, in the format that the file's name ends in.

    In CSV a text that a spreadsheet would take for a formula stands behind an apostrophe.

    Raises:
        UsageError: the format is unknown, or its package is not installed.
        StorageError: the file cannot be written.
    """
    if file.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{file}: tables are written as .csv or .parquet; give such a name")
    with storage_errors(file):
        if file.suffix == ".csv":
            _inert(frame).to_csv(file, index=False, lineterminator="\n")
            return
        try:
            frame.to_parquet(file, index=False)
        except ImportError:
            raise UsageError("Parquet needs pyarrow; pip install pyarrow, or write .csv") from None


def _inert(frame: pd.DataFrame) -> pd.DataFrame:
    texts = {name: frame[name] for name in frame.columns if frame[name].dtype == "string"}
    return frame.assign(
        **{name: text.where(~text.str.startswith(_FORMULA, na=False), "'" + text) for name, text in texts.items()}
    )
