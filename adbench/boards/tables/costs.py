"""Costs of methods, as numbers. Times of different devices are never mixed."""

from __future__ import annotations

import math
import statistics
from typing import Any

from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.engine.store.record import Cost, ResultRecord

_TIMES = ["p50", "p95", "speed", "fit"]
_AGGREGATES: dict[str, Any] = {
    **dict.fromkeys(["p50", "p95", "fit", "bank"], statistics.fmean),
    **dict.fromkeys(["memory", "gpu"], "max"),
    **dict.fromkeys(["images", "seconds"], lambda values: sum(values.tolist())),
    **dict.fromkeys(["devices", "runtimes"], lambda texts: tuple(sorted(set(texts)))),
}
"""The exact mean: pandas' own sums in another order, which may change the last digit."""
_NOTHING = {**dict.fromkeys([*_TIMES, "memory", "gpu", "bank"]), "devices": (), "runtimes": ()}


def costs_of(data: BoardData) -> dict[str, dict[str, Any]]:
    """Costs of each method by its key: means over units, and the highest peaks.

    Returns:
        ``p50`` and ``p95`` in milliseconds an image, ``speed`` in images a second with reading, ``fit`` in seconds,
        peaks ``memory`` and ``gpu`` and the size ``bank`` in MB, sorted ``devices`` and ``runtimes``. A number is None
        where nothing was measured; a time is None also where devices differ.
    """
    return data.kept(("costs",), lambda: _costs_of(data))


def _costs_of(data: BoardData) -> dict[str, dict[str, Any]]:
    import pandas as pd

    records = [(method.key, record) for method in data.methods for record in method.records.values()]
    rows = [{"row": key, **_measured(record, record.cost)} for key, record in records if record.cost is not None]
    table = pd.DataFrame(rows, columns=["row", *_AGGREGATES]).groupby("row").agg(_AGGREGATES)
    table["speed"] = (table.pop("images") / table.pop("seconds")).replace(math.inf, math.nan)
    table.loc[table["devices"].map(len) > 1, _TIMES] = math.nan
    found: dict[str, dict[str, Any]] = table.astype(object).where(table.notna(), None).to_dict("index")
    return {method.key: found.get(method.key, _NOTHING) for method in data.methods}


def _measured(record: ResultRecord, cost: Cost) -> dict[str, Any]:
    """Measured costs of a unit."""
    return {
        "p50": cost.ms_per_image.p50,
        "p95": cost.ms_per_image.p95,
        "fit": cost.fit_s,
        "bank": cost.bank_mb,
        "memory": cost.peak_memory_mb,
        "gpu": math.nan if cost.peak_gpu_mb is None else cost.peak_gpu_mb,
        "images": float(record.task.test),
        "seconds": cost.test_s,
        "devices": plain(record.provenance.device),
        "runtimes": plain(record.provenance.runtime),
    }
