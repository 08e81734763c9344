"""Keeps two processes on one folder of runs from doing the same unit twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from adbench.engine.process.location import is_here

CLAIMS = ".claims"


@contextmanager
def unit_lock(out: Path, name: str, *, wait: bool) -> Iterator[bool]:
    """Whether the unit of this name is ours alone inside the block. A process that dies lets go of its claims.

    Without a file system that can lock (behind an address, or read-only) everybody may: results appear whole anyway,
    and are the same.
    """
    if not is_here(out):
        yield True
        return
    file = out / CLAIMS / f"{name}.lock"
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
        _let_go(file, lock)


def _let_go(file: Path, lock: FileLock) -> None:
    """Release a claim. Whoever waits for it holds the file, and looks again whether the unit is done."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # a component closed the file
        lock.release()
    with suppress(OSError):  # others have claims there
        file.parent.rmdir()


def sweep_claims(out: Path) -> int:
    """Remove the files of claims whose processes are dead; returns how many."""
    count = 0
    if not is_here(out):
        return count
    for file in (out / CLAIMS).glob("*.lock"):
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except (OSError, NotImplementedError, Timeout):
            continue
        _let_go(file, lock)
        count += 1
    return count
