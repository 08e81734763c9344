"""Locks of units, so that two processes on one folder of runs do not run the same unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from adbench.engine.process.location import is_here

LOCKS = ".claims"


@contextmanager
def unit_lock(out: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Lock the unit of this name inside the block; yields whether this process has the lock.

    The locks of a process that dies are released. Where the file system has no locks (behind an address, or read-only)
    every process has it: results appear whole anyway, and are the same.
    """
    if not is_here(out):
        yield True
        return
    file = out / LOCKS / f"{name}.lock"
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        _release(file, lock)


def _release(file: Path, lock: FileLock) -> None:
    """Release a lock. A process that waits has the file open, and checks again whether the unit has ended."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # a component closed the file
        lock.release()
    with suppress(OSError):  # other locks are there
        file.parent.rmdir()


def delete_dead_locks(out: Path) -> int:
    """Remove the lock files of dead processes; returns how many."""
    count = 0
    if not is_here(out):
        return count
    for file in (out / LOCKS).glob("*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except (OSError, NotImplementedError, Timeout):
            continue
        _release(file, lock)
        count += 1
    return count
