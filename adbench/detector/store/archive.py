"""One file of named entries: a stored zip, written whole or not at all, and read as an untrusted file."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from adbench.api.atomic_file import temporary_file
from adbench.api.untrusted import open_plain
from adbench.engine.store.record import storage_errors
from adbench.errors import StorageError
from adbench.safe_text import one_line

MAX_ENTRIES = 100
MAX_BYTES = 32 << 30
"""Of a whole file; the largest banks that adbench makes have some gigabytes."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}(/[a-z0-9][a-z0-9._-]{0,99})?")
_DATE = (2026, 1, 1, 0, 0, 0)
"""Of every entry, so that the same detector is the same file."""
_BLOCK = 1 << 20

Write = Callable[[IO[bytes]], None]


def write_archive(path: Path, entries: Mapping[str, Write]) -> None:
    """Write a file of entries; one that is there stays whole until the new one is.

    Args:
        path: of the file; its folder is made if need be.
        entries: by name what writes each.

    Raises:
        StorageError: disk full or read-only.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(path) as temporary:
            with zipfile.ZipFile(temporary.file, "w", zipfile.ZIP_STORED) as archive:
                for name, write in entries.items():
                    with archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as entry:
                        write(entry)
            temporary.file.close()
            temporary.publish()


class ArchiveReader:
    """The entries of a file that may come from an untrusted source.

    Nothing in it is compressed, so that no entry is larger than the file; names are plain, and entries do not share
    bytes. Content is checked against the zip's checksums as it is read.

    Args:
        path: of the file.
        what: what it should be, for messages: ``"a detector"``.

    Raises:
        StorageError: it cannot be read, or is no such file.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self.what = path, what
        if not path.exists() or path.is_dir():
            fault = "a folder" if path.is_dir() else "there is no such file"
            raise StorageError(f"{path}: {fault}; give {what}, a file that 'adbench fit' or 'adbench run --save' wrote")
        self._file = open_plain(path, what)
        try:
            self._archive = zipfile.ZipFile(self._file)
            self._entries = {entry.filename: entry for entry in self._archive.infolist()}
            reason = self._fault()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, OverflowError) as error:
            self._file.close()
            raise self._damaged(_words(error)) from None
        if reason:
            self.close()
            raise self._damaged(reason)

    def _fault(self) -> str:
        """The reason why the file is no detector; empty if it may be one."""
        found, size = self._archive.infolist(), os.fstat(self._file.fileno()).st_size
        if len(found) > MAX_ENTRIES or len(found) != len(self._entries):
            return f"it has {len(found)} entries, or two of one name"
        if size > MAX_BYTES or sum(entry.file_size for entry in found) > size:
            return "its entries are larger than the file"
        for entry in found:
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                return f"its entry {one_line(entry.filename, 100)!r} is compressed, which no detector's is"
            if entry.flag_bits & 0x1 or not _NAME.fullmatch(entry.filename):
                return f"its entry {one_line(entry.filename, 100)!r} is not one of a detector"
        return ""

    def _damaged(self, reason: str) -> StorageError:
        return StorageError(
            f"{self.path}: not readable as {self.what} ({one_line(reason, 200)}); give another file, copy this one"
            " again, or make it anew with 'adbench fit'"
        )

    @property
    def names(self) -> list[str]:
        """The names of all entries."""
        return list(self._entries)

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        """The content of an entry.

        Raises:
            StorageError: there is none, it is larger than `most` bytes, or damaged.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise self._damaged(f"it has no {name}")
        if entry.file_size > most:
            raise self._damaged(f"its {name} has {entry.file_size} bytes, more than {most}")
        try:
            return self._archive.read(entry)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
            raise self._damaged(_words(error)) from None

    def unpack(self, name: str, path: Path) -> None:
        """Write an entry's content to a file.

        Raises:
            StorageError: there is no such entry, it is damaged, or the disk is full.
        """
        if name not in self._entries:
            raise self._damaged(f"it has no {name}")
        try:
            with storage_errors(path), path.open("wb") as file, self._archive.open(name) as entry:
                while block := entry.read(_BLOCK):
                    file.write(block)
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise self._damaged(_words(error)) from None

    def close(self) -> None:
        """Close the file."""
        self._archive.close()
        self._file.close()


def _words(error: Exception) -> str:
    return "it holds a text that is no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
