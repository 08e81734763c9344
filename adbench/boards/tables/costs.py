"""What a method cost, as numbers. Times of different devices are never mixed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from adbench.boards.tables.tidy import MethodRow
from adbench.boards.text import plain
from adbench.engine.store.record import Cost, ResultRecord


@dataclass(frozen=True)
class Costs:
    """Means over units; peaks are the highest. None where nothing was measured, times also where devices differ.

    Attributes:
        p50, p95: milliseconds a image.
        speed: images a second, reading included.
        fit: seconds.
        memory, gpu: peaks in MB.
        bank: MB.
        devices, runtimes: sorted.
    """

    p50: float | None = None
    p95: float | None = None
    speed: float | None = None
    fit: float | None = None
    memory: float | None = None
    gpu: float | None = None
    bank: float | None = None
    devices: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()


def costs_of(method: MethodRow) -> Costs:
    """Of all units that have a cost."""
    done = [(record, record.cost) for record in method.records.values() if record.cost is not None]
    if not done:
        return Costs()
    costs = [cost for _, cost in done]
    devices = tuple(sorted({plain(record.provenance.device) for record, _ in done}))
    gpu = [cost.peak_gpu_mb for cost in costs if cost.peak_gpu_mb is not None]
    timed = len(devices) == 1
    return Costs(
        p50=statistics.fmean(cost.ms_per_image.p50 for cost in costs) if timed else None,
        p95=statistics.fmean(cost.ms_per_image.p95 for cost in costs) if timed else None,
        speed=_speed(done) if timed else None,
        fit=statistics.fmean(cost.fit_s for cost in costs) if timed else None,
        memory=max(cost.peak_memory_mb for cost in costs),
        gpu=max(gpu, default=None),
        bank=statistics.fmean(cost.bank_mb for cost in costs),
        devices=devices,
        runtimes=tuple(sorted({plain(record.provenance.runtime) for record, _ in done})),
    )


def _speed(done: Sequence[tuple[ResultRecord, Cost]]) -> float | None:
    seconds = sum(cost.test_s for _, cost in done)
    speed = sum(record.task.test for record, _ in done) / seconds if seconds else math.inf
    return speed if math.isfinite(speed) else None
