"""Where a worker says which unit it is at, in a file that outlives it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STACK = ".stack"
"""What the name of the file with a killed worker's last stack ends in."""


@dataclass(frozen=True)
class UnitAtWork:
    """What a worker said last.

    Attributes:
        unit: its place in the job; None while it is between units, or waits for another process.
        waits: for another process, which is at the unit.
        since: when it said so, in seconds since 1970.
        limit: seconds after which it was to end itself, whatever it was at; None for never.
        stack: what it was at then, if it did.
    """

    unit: int | None = None
    waits: bool = False
    since: float = 0.0
    limit: float | None = None
    stack: str = ""

    @property
    def late(self) -> bool:
        """Whether it ended itself, since its time was up."""
        return self.limit is not None and bool(self.stack)


@dataclass
class WorkerStatus:
    """A worker's place of work.

    Attributes:
        file: where it leaves its sign; None where nobody would read it.
        place: of the unit in its job.
    """

    file: Path | None = None
    place: int = 0

    def stand(self, limit: float | None = None) -> None:
        """The worker is at the unit, and ends itself after so many seconds."""
        self._say({"unit": self.place, "limit": limit, "since": time.time()})

    def wait(self) -> None:
        """The worker waits for another process."""
        self._say({"waits": True, "since": time.time()})

    def leave(self) -> None:
        """The worker is between two units."""
        self._say({"since": time.time()})

    def _say(self, what: dict[str, object]) -> None:
        if self.file is not None:
            with suppress(OSError):  # nobody will know; that is no reason to stop
                self.file.write_text(json.dumps(what), encoding="utf-8")

    @contextmanager
    def last_words(self) -> Iterator[BinaryIO | None]:
        """A file for the stack of a process that is ended from outside of Python."""
        if self.file is None:
            yield None
            return
        try:
            opened = self.file.with_suffix(STACK).open("wb")
        except OSError:
            yield None
            return
        with opened:
            yield opened

    @staticmethod
    def read(file: Path | None) -> UnitAtWork | None:
        """What a worker said last; None if it never said anything, or nobody can tell."""
        if file is None:
            return None
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            stack = file.with_suffix(STACK)
            return UnitAtWork(**said, stack=stack.read_text(errors="replace") if stack.exists() else "")
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def clear(file: Path | None) -> None:
        """Take the signs away."""
        if file is not None:
            file.unlink(missing_ok=True)
            file.with_suffix(STACK).unlink(missing_ok=True)
