"""Records as one tidy pandas `DataFrame`: a row for each metric of a record, and one for a record without metrics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from adbench import UsageError
from adbench.boards.records.keys import method_key, shots_of
from adbench.boards.text import plain
from adbench.engine.store.record import ResultRecord, storage_errors

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_Read: TypeAlias = Callable[[ResultRecord], Any]

_FORMULA = ("=", "+", "-", "@")
_COLUMNS: Mapping[str, tuple[str, _Read | None]] = {
    "record": ("string", lambda record: record.id),
    "method": ("string", lambda record: record.recipe.name),
    "method_key": ("string", method_key),
    "dataset": ("string", lambda record: record.task.dataset),
    "category": ("string", lambda record: record.task.category),
    "seed": ("UInt64", lambda record: record.task.seed),
    "shots": ("Int64", lambda record: shots_of(record) or None),
    "status": ("string", lambda record: record.status),
    "metric": ("string", None),
    "value": ("float64", None),
    "low": ("float64", None),
    "high": ("float64", None),
    "metric_version": ("Int64", None),
    "note": ("string", None),
    "train_images": ("Int64", lambda record: record.task.train),
    "test_images": ("Int64", lambda record: record.task.test),
    "images": ("string", lambda record: record.task.samples_sha),
    "drew": ("boolean", lambda record: record.drew),
    "transductive": ("boolean", lambda record: record.regime.test_set),
    "class_names": ("boolean", lambda record: record.regime.class_names),
    "random_weights": ("boolean", lambda record: record.regime.random_weights),
    "ms_per_image": ("float64", lambda record: record.cost and record.cost.ms_per_image.p50),
    "ms_per_image_p95": ("float64", lambda record: record.cost and record.cost.ms_per_image.p95),
    "fit_s": ("float64", lambda record: record.cost and record.cost.fit_s),
    "test_s": ("float64", lambda record: record.cost and record.cost.test_s),
    "peak_memory_mb": ("float64", lambda record: record.cost and record.cost.peak_memory_mb),
    "peak_gpu_mb": ("float64", lambda record: record.cost and record.cost.peak_gpu_mb),
    "bank_mb": ("float64", lambda record: record.cost and record.cost.bank_mb),
    "device": ("string", lambda record: record.provenance.device),
    "runtime": ("string", lambda record: record.provenance.runtime),
    "started": ("string", lambda record: record.provenance.started),
}
"""Columns: the type in pandas, and how a record gives the value; None for columns of a metric."""
_OF_RECORD = {name: read for name, (_, read) in _COLUMNS.items() if read}
_OF_METRIC = [name for name, (_, read) in _COLUMNS.items() if not read]
COLUMNS: Mapping[str, str] = {name: kind for name, (kind, _) in _COLUMNS.items()}
"""Columns, each with its type in pandas. docs/records.md says what they hold."""
READ_BY_TABLES = (
    *("category", "seed", "status", "metric", "value", "low", "high", "metric_version", "note", "images", "drew"),
    *("test_images", "ms_per_image", "ms_per_image_p95", "fit_s", "test_s", "peak_memory_mb", "peak_gpu_mb"),
    *("bank_mb", "device", "runtime"),
)
"""Columns that the tables of a board are made from. The others would take a third of the time and memory."""


def to_frame(records: Iterable[ResultRecord]) -> pd.DataFrame:
    """Records as a tidy table, in the order given; texts on one line and printable.

    Args:
        records: such as `adbench.records.read_records` returns.
    """
    frame = frame_of(records).reset_index(drop=True)
    for name in (name for name, kind in COLUMNS.items() if kind == "string"):
        frame[name] = frame[name].map({text: plain(text) for text in frame[name].dropna().unique()})
    return frame.astype(dict(COLUMNS))


def frame_of(records: Iterable[ResultRecord], names: Collection[str] = COLUMNS.keys()) -> pd.DataFrame:
    """The table of `to_frame`, with values as the records have them.

    Args:
        records: in order.
        names: of the wanted columns.

    Returns:
        These columns, of floats or else of objects. The index is the number of the record.
    """
    import numpy as np
    import pandas as pd

    listed = list(records)
    rows = [list(_metrics(record)) for record in listed]
    of_metric = zip(*chain.from_iterable(rows), strict=True) if rows else ((),) * len(_OF_METRIC)
    columns = {name: _column(name, values) for name, values in zip(_OF_METRIC, of_metric, strict=True)}
    lengths = np.array(list(map(len, rows)), dtype=np.intp)
    numbers = np.repeat(np.arange(len(listed), dtype=np.int64), lengths)
    columns |= {name: _column(name, map(read, listed))[numbers] for name, read in _OF_RECORD.items() if name in names}
    index = pd.Index(numbers)
    series = {name: pd.Series(columns[name], index, dtype=columns[name].dtype, copy=False) for name in names}
    return pd.DataFrame(series, copy=False)


def _column(name: str, values: Iterable[Any]) -> np.ndarray:
    """Floats of a column of floats, without a value where there is none; else the objects themselves."""
    import numpy as np

    listed = list(values)
    if COLUMNS[name] == "float64":
        return np.array(listed, dtype=np.float64)
    column = np.empty(len(listed), dtype=object)
    column[:] = listed
    return column


def _metrics(record: ResultRecord) -> Iterator[tuple[Any, ...]]:
    """Values of the columns of a metric, for each metric of a record; once without a metric if it has none."""
    for name, info in record.metrics.items():
        note = info.reason if record.status == "ok" else record.reason
        yield name, info.value, *(info.interval or (None, None)), info.version, note
    if not record.metrics:
        yield None, None, None, None, None, record.reason


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
