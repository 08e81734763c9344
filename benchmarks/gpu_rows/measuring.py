"""Time, memory and profiles of work on a device. Lines that only a GPU can run are all here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

Work = Callable[[], Any]


def on_gpu(device: str) -> bool:
    """Whether torch's name of a device is a GPU's."""
    return device.startswith("cuda")


def wait(device: str) -> None:
    """Until the device has done all that it was given."""
    if on_gpu(device):
        torch.cuda.synchronize(device)


def seconds(work: Work, device: str, repeat: int = 3, warm: int = 1) -> float:
    """The least time that the work takes, after some runs that warm up."""
    for _ in range(warm):
        work()
    return min(once(work, device) for _ in range(repeat))


def once(work: Work, device: str) -> float:
    """Seconds from an idle device to an idle device."""
    wait(device)
    begin = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - begin


def typical(work: Work, device: str, count: int) -> tuple[float, float]:
    """Median and 95th percentile of the seconds of so many runs, after as many as it takes to record a graph."""
    for _ in range(3):
        work()
    times = sorted(once(work, device) for _ in range(count))
    return median(times), times[min(count - 1, int(0.95 * count))]


def graphed(compute: Work, device: str) -> Work:
    """The work as one CUDA graph, which gives nothing back; on a CPU the work itself."""
    if not on_gpu(device):
        return compute
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            compute()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compute()

    def replay() -> Work:
        graph.replay()
        return compute  # holds what the graph reads, for as long as it may be replayed

    return replay


def gpu_peak_mb(device: str) -> float | None:
    """The most that torch held on the card in this process; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu(device) else None


def process_peak_mb() -> float | None:
    """The most that this process held; None where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def pinned(images: torch.Tensor, device: str) -> torch.Tensor:
    """Images in memory from which the card can fetch them by itself."""
    return images.pin_memory() if on_gpu(device) else images


def profiled(work: Work, device: str, rows: int = 20) -> str:
    """Where the time goes: torch's table of the operations that take most of it."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu(device) else [])
    with profile(activities=kinds) as seen:
        work()
        wait(device)
    order = "self_device_time_total" if on_gpu(device) else "self_cpu_time_total"
    return seen.key_averages().table(sort_by=order, row_limit=rows, max_name_column_width=60)
