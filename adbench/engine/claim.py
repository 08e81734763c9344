"""Keeps two processes on one folder of runs from doing the same unit twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from adbench.engine.settings import is_here

CLAIMS = ".claims"


@contextmanager
def claim(out: Path, name: str, *, wait: bool) -> Iterator[bool]:
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
        file.unlink(missing_ok=True)  # whoever waits for it holds the file, and looks again whether the unit is done
        lock.release()
        with suppress(OSError):  # others have claims there
            file.parent.rmdir()
