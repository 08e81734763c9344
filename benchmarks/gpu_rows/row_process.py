"""Each row in a process of its own with a time limit: a row that fails or hangs does not stop the others."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

from gpu_rows.line import Line, Sizes

Measure = Callable[[Sizes, str], Iterator[Line]]
PRELOADED = ["torch", "timm", "adbench.engine.run.runner", "adbench_dino.dinov3", "adbench_memory.coreset"]


@dataclass
class Ending:
    """How a row ended.

    Attributes:
        name: of the row.
        status: ``"ok"``, ``"failed"``, ``"stopped"`` as it ran over its budget, ``"left out"`` as no time was left.
        reason: why, where it did not end well.
        seconds: that it took, its start included.
        lines: what was measured until then, as JSON.
        profiles: torch's tables, by the key of a line, of what fell short.
        peaks: MB of the card and of the process.
    """

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)
    profiles: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, float | None] = field(default_factory=dict)


def context() -> ForkServerContext:
    """Processes that start with the heavy libraries loaded, and no device touched."""
    made = get_context("forkserver")
    made.set_forkserver_preload(PRELOADED)
    return made


def in_own_process(name: str, measure: Measure, sizes: Sizes, device: str, budget: float) -> Ending:
    """Measure a row for at most so many seconds."""
    ours, theirs = get_context("forkserver").Pipe(duplex=False)
    begin = time.perf_counter()
    ending = Ending(name, "failed", "its process ended without a word")
    with tempfile.TemporaryDirectory(prefix="adbench-gpu-") as scratch:  # gone even if the process is ended
        child = context().Process(target=_measured, args=(theirs, measure, sizes, device, scratch), name=name)
        child.start()
        theirs.close()
        try:
            _hear(ours, ending, begin + budget)
        finally:
            _stop(child.pid)
            child.join()
    ending.seconds = time.perf_counter() - begin
    if ending.status == "failed" and child.exitcode not in (0, -signal.SIGKILL):
        ending.reason += f" (exit code {child.exitcode})"
    return ending


def _hear(ours: Connection, ending: Ending, end: float) -> None:
    """Take in what the process says until it has ended or its time is up."""
    while ours.poll(max(0.0, end - time.perf_counter())):
        try:
            kind, said = ours.recv()
        except EOFError:
            return
        if kind == "line":
            ending.lines.append(said)
        elif kind == "profile":
            ending.profiles[said[0]] = said[1]
        elif kind == "peaks":
            ending.peaks = said
        else:
            ending.status, ending.reason = kind, said
            return
    ending.status, ending.reason = "stopped", "it ran over its time"


def _stop(pid: int | None) -> None:
    """End the process and all that it started: it leads a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)


def _measured(out: Connection, measure: Measure, sizes: Sizes, device: str, scratch: str) -> None:
    """In the process of the row: send each line as soon as it is known; profile those that fell short."""
    os.setsid()
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    from gpu_rows.measuring import gpu_peak_mb, process_peak_mb

    try:
        for line in measure(sizes, device):
            out.send(("line", line.to_json(sizes)))
            out.send(("peaks", {"gpu_mb": gpu_peak_mb(device), "process_mb": process_peak_mb()}))
            if line.work and (line.reached(sizes) is False or not sizes.judged):
                out.send(("profile", (line.key, _profile(line.work, device))))
        out.send(("ok", ""))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the row's outcome
        told = traceback.format_exception_only(error)[-1].strip()
        out.send(("failed", f"{told[:400]} ({_where(error)})"))


def _profile(work: Callable[[], Any], device: str) -> str:
    """Torch's table, or why there is none: what was measured stands without it."""
    from gpu_rows.measuring import profiled

    try:
        return profiled(work, device)
    except Exception as error:  # noqa: BLE001 - profilers fail for reasons of their own
        return f"no profile: {error}"


def _where(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 - a name, no path of this machine
