"""Scratch folders, deleted when they are not needed any more: at once, or, after a kill, by the next run."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

OWNER = "owner.lock"
"""The lock file in each folder, held by the process that made it for as long as it lives."""
OLD = 24 * 3600.0
"""Age in seconds at which a file or folder without a lock counts as abandoned: longer than any write takes."""

HERE = "adbench-*"
TEMPORARY_FOLDERS = (".draft-*", ".probe-*", ".old-*", ".posts-*")
"""The names of temporary folders that runs make beside their results."""


class Scratch:
    """A folder of one process, deleted when it is closed, when no object refers to it, and when the process ends.

    Args:
        prefix: what its name begins with.
        parent: where it is; None for where temporary files go.
    """

    def __init__(self, prefix: str = "adbench-", parent: Path | None = None) -> None:
        self.path, lock = _made(prefix, parent)
        self._gone = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    def close(self) -> None:
        """Remove it with all that is in it."""
        self._gone()

    def folder(self, name: str) -> Path:
        """A folder in it."""
        made = self.path / name
        made.mkdir(exist_ok=True)
        return made

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def _made(prefix: str, parent: Path | None) -> tuple[Path, FileLock | None]:
    """A folder and its lock; None where the file system has no locks. Another process may delete it first."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = FileLock(path / OWNER)
        try:
            lock.acquire(timeout=1)
        except (OSError, NotImplementedError):
            if path.exists():
                return path, None
        if (path / OWNER).exists():
            return path, lock


def _remove(path: Path, lock: FileLock | None, owner: int) -> None:
    if os.getpid() != owner:  # a fork that a component left behind
        return
    delete(path)
    if lock is not None:
        with suppress(OSError):
            lock.release()


def delete(path: Path) -> None:
    """Delete a folder or file as far as possible, even one whose permissions a component removed."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, onerror=_with_force)
        else:
            path.unlink(missing_ok=True)


def _with_force(again: Callable[..., Any], name: str, _: object) -> None:
    with suppress(OSError):
        Path(name).parent.chmod(0o700)
        Path(name).chmod(0o700)
        again(name)


def leftovers(parent: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Folders whose owner is dead, and old folders without an owner."""
    for pattern in patterns:
        for path in parent.glob(pattern):
            if path.is_dir() and not path.is_symlink() and _has_no_owner(path, pattern):
                yield path


def _has_no_owner(path: Path, pattern: str) -> bool:
    try:
        if (path / OWNER).exists():
            with FileLock(path / OWNER, blocking=False):
                return True
        return pattern != HERE and time.time() - path.stat().st_mtime > OLD  # a user's folder may be called adbench-x
    except (OSError, NotImplementedError, Timeout):
        return False


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    found = 0
    for file in (path, *path.rglob("*")):
        with suppress(OSError):
            found += file.lstat().st_size if file.is_file() else 0
    return found


def delete_leftovers(parent: Path, patterns: Iterable[str] = (HERE,)) -> tuple[int, int]:
    """Delete what killed processes left behind; returns how many folders, and their bytes."""
    count = freed = 0
    for path in list(leftovers(parent, patterns)):
        count, freed = count + 1, freed + size_of(path)
        delete(path)
    return count, freed


def hold_file_lock(handle: int) -> None:
    """Lock an open file for as long as this process has it open, which shows that its writer lives."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_abandoned(file: Path) -> bool:
    """Whether no process holds the lock of a file; where there are no locks, whether it is old."""
    try:
        with file.open("rb") as opened:
            if fcntl is None:
                return time.time() - file.stat().st_mtime > OLD
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
