"""A file of lines, none of which is ever cut."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class LineFile:
    """A file that grows by whole lines.

    Args:
        path: of the file; None for a temporary one without a name.
        fresh: whether a file that is there is written anew.
        durable: whether each line is on the disk before the next one, so that no line is lost if the power fails.

    Attributes:
        size: in bytes.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path | None, *, fresh: bool = True, durable: bool = False) -> None:
        self._durable = durable
        if path is None:
            with tempfile.TemporaryFile() as file:
                self._handle = os.dup(file.fileno())
        else:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | (os.O_TRUNC if fresh else 0), 0o644)
        self.size = os.lseek(self._handle, 0, os.SEEK_END)

    def append(self, line: str) -> None:
        """Write a line, all of it or nothing.

        Raises:
            OSError: the disk is full.
        """
        content = line.encode("utf-8", "backslashreplace")
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(self._handle, left) :]
            if self._durable:
                os.fsync(self._handle)
        except OSError:
            self.cut(self.size)
            raise
        self.size += len(content)

    def cut(self, size: int) -> None:
        """Take away what is behind so many bytes."""
        os.ftruncate(self._handle, size)
        os.lseek(self._handle, size, os.SEEK_SET)
        self.size = size

    def __iter__(self) -> Iterator[bytes]:
        """All lines so far, from the first one; no line may be added meanwhile."""
        with os.fdopen(os.dup(self._handle), "rb") as file:
            file.seek(0)
            yield from file
        os.lseek(self._handle, self.size, os.SEEK_SET)  # both have one place

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
