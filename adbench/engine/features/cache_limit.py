"""Keeps a folder of files within its limit, however many processes write into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

SHARE_OF_FREE_DISK = 0.1
ROOM_AFTER_EVICTION = 0.9
"""How full the folder is after the least recently used files went: some room, so that not each new file evicts one."""
PATIENCE = 10.0
"""Seconds to wait for another process, which takes a millisecond, or as long as it takes to look through the folder."""

LOCK, LEDGER = ".bound.lock", ".bound"


@dataclass
class CacheLimit:
    """The one account of how many bytes a folder holds, in a file that all its writers share.

    Whatever comes is entered before it comes, so that a process that dies in between leaves too high a figure. At the
    limit the files themselves are counted, and the account is right again.

    Attributes:
        root: the folder.
        limit: bytes that it may hold; None for a tenth of what the disk could give.
        shrink: deletes the least recently used files until at most so many bytes are left; returns those that are.
    """

    root: Path
    limit: int | None
    shrink: Callable[[int], int]

    @contextmanager
    def room_for(self, size: int, shrink: Callable[[int], int] | None = None) -> Iterator[bool]:
        """Make room for a file of so many bytes, which comes into the folder inside the block.

        Args:
            size: of the file, in bytes.
            shrink: makes the room in place of the usual way, and may leave more than it is asked for.

        Yields:
            Whether there is room: not for a file that is larger than the limit.
        """
        make_room = shrink or self.shrink
        with self._alone():
            used = self._entered()
            used = self.shrink(self.allowed) if used is None else used
            if used + size > self.allowed:
                used = make_room(max(0, int(ROOM_AFTER_EVICTION * self.allowed) - size))
            fits = used + size <= self.allowed
            (self.root / LEDGER).write_text(str(used + size if fits else used), encoding="utf-8")
            yield fits

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """As the only process; or as one of several, where the file system has no locks."""
        lock = FileLock(self.root / LOCK)
        with suppress(OSError, NotImplementedError, Timeout):
            lock.acquire(timeout=PATIENCE, poll_interval=0.005)
        try:
            yield
        finally:
            with suppress(OSError):
                lock.release()

    def _entered(self) -> int | None:
        """What the account says; None if there is none that can be read."""
        try:
            return int((self.root / LEDGER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @cached_property
    def allowed(self) -> int:
        """`limit`, or a tenth of what the disk could give."""
        if self.limit is not None:
            return self.limit
        return int(SHARE_OF_FREE_DISK * (shutil.disk_usage(self.root).free + (self._entered() or 0)))


def forget(root: Path) -> None:
    """Take the account away, after the files of which it tells."""
    for name in (LEDGER, LOCK):
        with suppress(OSError):
            (root / name).unlink(missing_ok=True)
