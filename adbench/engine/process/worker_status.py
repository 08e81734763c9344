"""The status of a worker: its unit, in a file that outlives it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

STACK = ".stack"
"""The suffix of the file with the last stack of a killed worker."""


@dataclass(frozen=True)
class LastStatus:
    """The last status of a worker.

    Attributes:
        unit: its place in the job; None while it is between units, or waits for another process.
        waits: whether it waits for another process that runs the unit.
        since: the time of the status, in seconds since 1970.
        limit: seconds after which it ends itself; None for never.
        stack: the Python stack when it ended itself; else empty.
    """

    unit: int | None = None
    waits: bool = False
    since: float = 0.0
    limit: float | None = None
    stack: str = ""

    @property
    def late(self) -> bool:
        """Whether it ended itself because its time was up."""
        return self.limit is not None and bool(self.stack)


@dataclass
class WorkerStatus:
    """Writes the status of a worker.

    Attributes:
        file: of the status; None to write none.
        place: the place of the unit in the job.
    """

    file: Path | None = None
    place: int = 0

    def at_unit(self, limit: float | None = None) -> None:
        """Write that the worker runs the unit, and ends itself after so many seconds."""
        self._write({"unit": self.place, "limit": limit, "since": time.time()})

    def waiting(self) -> None:
        """Write that the worker waits for another process."""
        self._write({"waits": True, "since": time.time()})

    def between_units(self) -> None:
        """Write that the worker is between two units."""
        self._write({"since": time.time()})

    def _write(self, status: dict[str, object]) -> None:
        if self.file is not None:
            with suppress(OSError):  # without a status file the run goes on all the same
                self.file.write_text(json.dumps(status), encoding="utf-8")

    @contextmanager
    def stack_file(self) -> Iterator[BinaryIO | None]:
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
    def read(file: Path | None) -> LastStatus | None:
        """The last status of a worker; None where there is none that can be read."""
        if file is None:
            return None
        try:
            status = json.loads(file.read_text(encoding="utf-8"))
            stack = file.with_suffix(STACK)
            return LastStatus(**status, stack=stack.read_text(errors="replace") if stack.exists() else "")
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def clear(file: Path | None) -> None:
        """Delete the status file, and the one of the stack."""
        if file is not None:
            file.unlink(missing_ok=True)
            file.with_suffix(STACK).unlink(missing_ok=True)
