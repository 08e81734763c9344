"""Files of lines in a board's folder: compressed, or plain text as in boards of older versions."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from adbench.api.untrusted import read_plain, read_xz

PLAIN, PACKED = ".jsonl", ".jsonl.xz"
MAX_TEXT_BYTES = 256 << 20
"""Largest text of a file, whatever its size: a compressed one may hold thousands of times as much."""
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 6, "mf": lzma.MF_HC4},)
"""Hash chains instead of binary trees: half the time for files that are 1 % larger."""


def line_files(folder: Path) -> Iterator[Path]:
    """The files of lines in a folder, plain ones first."""
    return chain(folder.glob(f"*{PLAIN}"), folder.glob(f"*{PACKED}"))


def is_line_file(path: Path) -> bool:
    """Whether a path has the name of a file of lines."""
    return path.name.endswith((PLAIN, PACKED))


def packed_name(name: str) -> str:
    """The name that a file of lines has after the next build."""
    return name if name.endswith(PACKED) else f"{name.removesuffix(PLAIN)}{PACKED}"


def read_line_file(file: Path, what: str, inside: Path | None = None, most: int = MAX_TEXT_BYTES) -> str:
    """The text of a file of lines.

    Args:
        file: compressed if its name ends in ``.xz``.
        what: what it should be, for the message: ``"a file of records"``.
        inside: a folder that no link may lead out of.
        most: bytes that the text may have; no more are unpacked.

    Raises:
        StorageError: the file cannot be read, is no file or no UTF-8, is damaged or has too much text.
    """
    if file.suffix == ".xz":
        return read_xz(file, most, what, inside)
    return read_plain(file, most, what, inside)


def pack_lines(text: bytes) -> bytes:
    """The content of a compressed file of lines."""
    return lzma.compress(text, filters=_FILTERS)
