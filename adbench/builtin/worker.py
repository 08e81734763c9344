"""What goes on inside the worker processes of executor `process`: each takes a slot, keeps to its share, answers."""

from __future__ import annotations

import os
import signal
import sys
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

ENDED = 256
"""What `Worker.exitcode` says in place of 0, which no system uses."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
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
    """What of the machine one worker may use.

    Attributes:
        threads: how many of each library.
        gpu: what CUDA calls the one it has; None where the machine has none.
    """

    threads: int
    gpu: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables that say so to libraries that are not imported yet."""
        threads = dict.fromkeys(_THREADS, str(self.threads))
        return threads if self.gpu is None else {**threads, "CUDA_VISIBLE_DEVICES": self.gpu}


def settle(folder: Path, shares: Sequence[Share]) -> None:
    """Begin a worker's life, before it is given anything to do.

    Args:
        folder: where the locks of the slots are.
        shares: one for each slot.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # at once, and inside C code too
    Thread(target=_end_with_parent, daemon=True).start()
    share = shares[_free_slot(folder, len(shares))]
    os.environ.update(share.environment())
    if "torch" in sys.modules:  # the user's script imported it, and it has read its environment
        sys.modules["torch"].set_num_threads(share.threads)


def _end_with_parent() -> None:
    """No worker outlives the process that gives it work, however that one ended."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _free_slot(folder: Path, slots: int) -> int:
    """A slot that no living worker holds: the system lets go of a dead one's lock."""
    from filelock import FileLock, Timeout

    while True:
        for slot in range(slots):
            with suppress(Timeout):
                lock = FileLock(folder / f"{slot}.lock")
                lock.acquire(blocking=False)
                _held.append(lock)
                return slot
        time.sleep(0.05)


def answer(work: str, order: str) -> tuple[str | None, str]:
    """The answer of the function of that name to an order, or else why there is none.

    Whatever is raised comes back in words, since not every exception survives the way between processes.
    """
    try:
        return resolve_name(work)(order), ""
    except Exception as error:  # noqa: BLE001 - it may be anything, also a module that cannot be imported
        return None, f"it raised {type(error).__name__}: {error}".strip()
