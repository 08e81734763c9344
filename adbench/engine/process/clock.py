"""The only place that times and weighs: wall time with synchronised devices, peak memory of process and GPU."""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from adbench.api.search.shared_results import SharedResults
from adbench.engine.process.error_text import words_of
from adbench.errors import UnitTimeout

MB = 2**20

INSISTENCE = 1.0
"""Seconds between two alarms, the first of which may have been swallowed."""
GRACE = 3.0
"""Seconds that a unit has to end by itself, once its time is up."""


@dataclass
class Clock:
    """Times of one unit.

    Attributes:
        device: its queue is emptied before each reading.
        shared: results that are found there count as long as they took when they were computed.
        seconds: what `measure` added up, by name.
        per_image_ms: a time for each test batch, divided by its images.
    """

    device: str
    shared: SharedResults = field(default_factory=SharedResults)
    seconds: dict[str, float] = field(default_factory=dict)
    per_image_ms: list[tuple[float, int]] = field(default_factory=list)

    def now(self) -> float:
        """Seconds on a clock that never runs backwards, after all queued work is done; shared results count."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
        return time.perf_counter() + self.shared.charged

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the block's time to `seconds[name]`."""
        started = self.now()
        try:
            yield
        finally:
            self.add(name, self.now() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add time that was measured elsewhere to `seconds[name]`."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def lap(self, seconds: float, images: int) -> None:
        """Note how long a test batch took, from file to patch scores."""
        self.per_image_ms.append((1000 * seconds / images, images))

    def quantile_ms(self, q: float) -> float:
        """The q-quantile over test images of the time a image."""
        times = sorted(ms for ms, images in self.per_image_ms for _ in range(images))
        return times[min(len(times) - 1, int(q * len(times)))] if times else 0.0


class PeakMemory:
    """Highest memory since it was made: of the process, and of the GPU where there is one."""

    def __init__(self, device: str) -> None:
        self.device = device
        _reset_process_peak()
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def process_mb(self) -> float:
        """Resident memory of this process."""
        return _process_peak_bytes() / MB

    def gpu_mb(self) -> float | None:
        """Memory that torch allocated on the device; None on a CPU."""
        if not self.device.startswith("cuda"):
            return None
        import torch

        return float(torch.cuda.max_memory_allocated(self.device)) / MB


def _reset_process_peak() -> None:
    """Linux can forget the peak so far; elsewhere the peak is that of the whole process's life."""
    clear = Path("/proc/self/clear_refs")
    try:
        clear.write_text("5")
    except OSError:
        return


def _process_peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def deadline(seconds: float | None, stack_file: BinaryIO | None = None) -> Iterator[None]:
    """Stop the block after so many seconds, again and again, as a component may swallow that.

    An alarm stops it, in the main thread of a system with alarms (not on Windows), and as soon as Python runs: a call
    that never returns to Python is stopped when it does. What could not be stopped, or hid that it was, has failed when
    it ends. A worker goes further.

    Args:
        seconds: None for no limit.
        stack_file: of a worker, which may be ended with all that it does: `GRACE` seconds later the process ends,
            whatever it is at, C code that lets no Python run included, and writes its stack into this open file.

    Raises:
        UnitTimeout: time is up, whatever the block made of that.
    """
    if not seconds:
        yield
        return
    late, began = f"stopped after {seconds:g} s (--timeout)", time.monotonic()
    try:
        with _end_process_after(seconds + GRACE, stack_file), _alarm(seconds, late):
            yield
    except UnitTimeout:
        raise
    except Exception as error:
        if time.monotonic() - began >= seconds:
            raise UnitTimeout(f"{late}, which was taken for something else: {words_of(error)}") from error
        raise
    if time.monotonic() - began >= seconds:
        raise UnitTimeout(late)


@contextmanager
def _alarm(seconds: float, late: str) -> Iterator[None]:
    """Raise an error after so many seconds, and every `INSISTENCE` seconds then."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return
    armed = True

    def expire(_signal: int, _frame: FrameType | None) -> None:
        if armed:
            raise UnitTimeout(late)

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds, INSISTENCE)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        # An alarm that was on its way must not meet the system's own handler, which ends the process
        signal.signal(signal.SIGALRM, signal.SIG_IGN if before is signal.SIG_DFL else before)


@contextmanager
def _end_process_after(seconds: float, stack_file: BinaryIO | None) -> Iterator[None]:
    """End the process after so many seconds, from a thread that needs no Python to run."""
    if stack_file is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=stack_file)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
