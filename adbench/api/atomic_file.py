"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

DRAFT = ".draft-"
"""The name of a file that is not whole yet begins so."""

PRIVATE = 0o600
"""The mode of a file that only its owner reads."""


@dataclass(frozen=True)
class Draft:
    """A file beside its target that is written and then takes the target's name.

    Attributes:
        path: of the draft.
        target: the name that it takes.
        file: open for writing.
    """

    path: Path
    target: Path
    file: BinaryIO

    def publish(self) -> None:
        """Take the target's name, in place of a file that has it. What was written has to be flushed or closed.

        Raises:
            FileNotFoundError: another process has swept the draft away.
        """
        self.path.replace(self.target)


@contextmanager
def draft_of(target: Path, mode: int | None = None) -> Iterator[Draft]:
    """Open a draft; it is gone at the end of the block if it was not published.

    Args:
        target: a file in a folder that exists.
        mode: the file's permissions; None for what the process gives new files.

    Raises:
        OSError: the folder cannot be written.
    """
    path = target.with_name(f"{DRAFT}{uuid4().hex}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o666 if mode is None else mode), "wb") as file:
            if mode is not None:
                path.chmod(mode)
            yield Draft(path, target, file)
    finally:
        path.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes | str, mode: int | None = None) -> None:
    """Write a file that appears whole or not at all; of two that are written at once, the last one stays.

    Args:
        path: in a folder that exists.
        content: bytes, or text that is written as UTF-8.
        mode: the file's permissions; None for what the process gives new files.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with draft_of(path, mode) as draft:
        draft.file.write(content.encode() if isinstance(content, str) else content)
        draft.file.close()
        draft.publish()
