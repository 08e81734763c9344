"""Records as one tidy pandas `DataFrame`: a row for each metric of a record, and one for a record without metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from adbench.boards.tables.tidy import BoardData, method_key, shots_of
from adbench.boards.text import plain
from adbench.engine.store.record import MetricInfo, ResultRecord

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, str] = {
    "record": "string",
    "method": "string",
    "method_key": "string",
    "dataset": "string",
    "category": "string",
    "seed": "UInt64",
    "shots": "Int64",
    "status": "string",
    "metric": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "metric_version": "Int64",
    "note": "string",
    "train_images": "Int64",
    "test_images": "Int64",
    "transductive": "boolean",
    "class_names": "boolean",
    "random_weights": "boolean",
    "ms_per_image": "float64",
    "fit_s": "float64",
    "peak_memory_mb": "float64",
    "peak_gpu_mb": "float64",
    "bank_mb": "float64",
    "device": "string",
    "started": "string",
}
"""Columns, each with its type in pandas. docs/records.md says what they hold."""


def to_frame(records: Iterable[ResultRecord]) -> pd.DataFrame:
    """Records as a tidy table, in the order given; texts on one line and printable.

    Args:
        records: such as `adbench.records.read_records` returns.
    """
    import pandas as pd

    rows = [row for record in records for row in _rows(record)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict(COLUMNS))


def board_frame(data: BoardData) -> pd.DataFrame:
    """The records of a board as a tidy table, before each the label of its row."""
    rows = [(method.label, record) for method in data.methods for record in method.records.values()]
    frame = to_frame(record for _, record in rows)
    labels = {record.id: label for label, record in rows}
    frame.insert(0, "row", frame["record"].map(labels).astype("string"))
    return frame


def _rows(record: ResultRecord) -> Iterator[dict[str, Any]]:
    common = {**_identity(record), **_given(record), **_cost(record)}
    metrics: Mapping[str, MetricInfo | None] = record.metrics or {"": None}
    for name, info in metrics.items():
        yield {**common, **_figure(name, info, record.reason)}


def _figure(name: str, info: MetricInfo | None, reason: str) -> dict[str, Any]:
    if info is None:
        return {"note": plain(reason)}
    low, high = info.interval or (None, None)
    figures = {"value": info.value, "low": low, "high": high}
    return {"metric": name, **figures, "metric_version": info.version, "note": plain(info.reason)}


def _identity(record: ResultRecord) -> dict[str, Any]:
    task = record.task
    texts = {"method": record.recipe.name, "dataset": task.dataset, "category": task.category}
    return {
        "record": record.id,
        "method_key": method_key(record),
        **{name: plain(text) for name, text in texts.items()},
        "seed": task.seed,
        "shots": shots_of(record) or None,
        "status": record.status,
    }


def _given(record: ResultRecord) -> dict[str, Any]:
    regime = record.regime
    return {
        "train_images": record.task.train,
        "test_images": record.task.test,
        "transductive": regime.test_set,
        "class_names": regime.class_names,
        "random_weights": regime.random_weights,
    }


def _cost(record: ResultRecord) -> dict[str, Any]:
    where = {"device": plain(record.provenance.device), "started": plain(record.provenance.started)}
    if record.cost is None:
        return where
    spent = record.cost.model_dump(include={"fit_s", "peak_memory_mb", "peak_gpu_mb", "bank_mb"})
    return {**where, **spent, "ms_per_image": record.cost.ms_per_image.p50}
