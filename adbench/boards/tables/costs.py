"""Costs of methods, as numbers. Times of different devices are never mixed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain

_TIMES = ["p50", "p95", "speed", "fit"]


def costs_of(data: BoardData) -> dict[str, dict[str, Any]]:
    """Costs of each method by its key: means over units, and the highest peaks.

    Returns:
        ``p50`` and ``p95`` in milliseconds an image, ``speed`` in images a second with reading, ``fit`` in seconds,
        peaks ``memory`` and ``gpu`` and the size ``bank`` in MB, sorted ``devices`` and ``runtimes``. A number is None
        where nothing was measured; a time is None also where devices differ.
    """
    return data.kept(("costs",), lambda: _costs_of(data))


def _costs_of(data: BoardData) -> dict[str, dict[str, Any]]:
    units = data.frame[~data.frame.index.duplicated() & data.frame["fit_s"].notna()]
    table = units.groupby("row").agg(
        p50=("ms_per_image", statistics.fmean),
        p95=("ms_per_image_p95", statistics.fmean),
        fit=("fit_s", statistics.fmean),
        bank=("bank_mb", statistics.fmean),
        memory=("peak_memory_mb", "max"),
        gpu=("peak_gpu_mb", "max"),
        images=("test_images", "sum"),
        seconds=("test_s", "sum"),
        devices=("device", _distinct),
        runtimes=("runtime", _distinct),
    )
    table["speed"] = (table.pop("images").astype(float) / table.pop("seconds")).replace(math.inf, math.nan)
    table.loc[table["devices"].map(len) > 1, _TIMES] = math.nan
    table = table.astype(object).where(table.notna(), None)
    nothing = {**dict.fromkeys(table.columns), "devices": (), "runtimes": ()}
    found: dict[str, dict[str, Any]] = table.to_dict("index")
    return {method.key: found.get(method.key, nothing) for method in data.methods}


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(map(plain, texts))))
