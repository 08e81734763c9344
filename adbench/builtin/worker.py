"""The worker processes of the executor `process`: each takes a slot, uses its share, and answers."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from typing import Any

from filelock import FileLock, Timeout

from adbench.executor import answer_or_reason, use_threads

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

ENDED = 256
"""What `Worker.exitcode` says in place of 0, which no system uses."""

OWN = ".own"
"""What the name of a worker's folder of temporary files ends in, after its process id."""

_held: list[Any] = []  # the lock of this worker's slot, for as long as the worker lives


class Worker(SpawnProcess):
    """A process whose every end is seen: pebble takes status 0 for a retirement, and waits for the job for ever."""

    @property
    def exitcode(self) -> int | None:
        code = super().exitcode
        return ENDED if code == 0 else code


class Spawning(SpawnContext):
    """Starts workers as fresh interpreters, which share nothing with their parent."""

    Process = Worker


@dataclass(frozen=True)
class Share:
    """The share of the machine for one worker.

    Attributes:
        threads: how many of each library.
        gpu: what CUDA calls the one it has; None where the machine has none.
    """

    threads: int
    gpu: str | None = None


def settle(folder: Path, shares: Sequence[Share]) -> None:
    """Begin a worker's life, before it is given anything to do.

    The worker leads a group of processes, so that what it leaves behind can be ended with it, and its temporary files
    lie in a folder that goes with it.

    Args:
        folder: of the pool, with the locks of the slots.
        shares: one for each slot.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, and inside C code too
    if hasattr(os, "setsid"):
        os.setsid()
    Thread(target=_end_with_parent, daemon=True).start()
    own = folder / f"{os.getpid()}{OWN}"
    own.mkdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
    share = shares[_free_slot(folder, len(shares))]
    use_threads(share.threads)
    if share.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = share.gpu


def _end_with_parent() -> None:
    """No worker outlives the process that gives it work, however that one ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        end_group(os.getpid(), signal.SIGTERM)


def end_group(leader: int, number: int) -> None:
    """Send a signal to a worker and all that it has started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(leader, number)
        else:
            os.kill(leader, number)


def clear_up(folder: Path) -> None:
    """End what dead workers of a pool have left running, and remove their temporary files."""
    for own in folder.glob(f"*{OWN}"):
        worker = int(own.name.removesuffix(OWN))
        if not _lives(worker):
            if hasattr(signal, "SIGKILL"):
                end_group(worker, signal.SIGKILL)
            shutil.rmtree(own, ignore_errors=True)


def _lives(worker: int) -> bool:
    try:
        os.kill(worker, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _free_slot(folder: Path, slots: int) -> int:
    """A slot that no living worker holds: the system lets go of a dead one's lock."""
    while True:
        for slot in range(slots):
            with suppress(OSError, Timeout):
                _held.append(_lock(folder / f"{slot}.lock"))
                return slot
        time.sleep(0.05)


def _lock(file: Path) -> object:
    """Lock a file for this process alone, where that can be: a fork of it, which may live on, holds nothing.

    Raises:
        OSError, Timeout: another process has it.
    """
    if fcntl is None:
        lock = FileLock(file)
        lock.acquire(blocking=False)
        return lock
    opened = file.open("wb")
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        opened.close()
        raise
    return opened


def answer(work: str, order: str) -> tuple[str | None, str]:
    """The answer of the function of that name to an order, or the reason why there is none."""
    return answer_or_reason(lambda order: str(resolve_name(work)(order)), order)
