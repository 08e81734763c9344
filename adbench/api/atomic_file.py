"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

TEMPORARY = ".draft-"
"""The prefix of the name of a temporary file."""

PRIVATE = 0o600
"""The mode of a file that only its owner may read."""


@dataclass(frozen=True)
class TemporaryFile:
    """A file beside its target, which is written and then renamed to it.

    Attributes:
        path: of this file.
        target: the file that it becomes.
        file: open for writing.
    """

    path: Path
    target: Path
    file: BinaryIO

    def publish(self) -> None:
        """Rename the file to its target, which is replaced. The content has to be flushed or closed before.

        Raises:
            FileNotFoundError: another process has deleted the file.
        """
        self.path.replace(self.target)


@contextmanager
def temporary_file(target: Path, mode: int | None = None) -> Iterator[TemporaryFile]:
    """Open a temporary file; it is deleted at the end of the block if it was not published.

    Args:
        target: a file in a folder that exists.
        mode: the file's permissions; None for the process's default.

    Raises:
        OSError: the folder cannot be written, or a device lies at the target.
    """
    if target.is_char_device() or target.is_block_device():  # a file renamed to /dev/null would take its place
        raise FileExistsError(errno.EEXIST, "a device lies there", str(target))
    path = target.with_name(f"{TEMPORARY}{uuid4().hex}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o666 if mode is None else mode), "wb") as file:
            if mode is not None:
                path.chmod(mode)
            yield TemporaryFile(path, target, file)
    finally:
        path.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes | str, mode: int | None = None) -> None:
    """Write a file that appears whole or not at all; of two that are written at once, the last one stays.

    Args:
        path: in a folder that exists.
        content: bytes, or text that is written as UTF-8.
        mode: the file's permissions; None for the process's default.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with temporary_file(path, mode) as temporary:
        temporary.file.write(content.encode() if isinstance(content, str) else content)
        temporary.file.close()
        temporary.publish()
