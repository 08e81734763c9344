"""Files and texts from an untrusted source: read in bounded time and memory.

A runs folder, a recipe or a board may come from anybody. What lies there need not be a file (a pipe never ends, a
device answers forever), need not be small, and need not be what it is called. Whoever reads one reads it here.
"""

from __future__ import annotations

import json
import lzma
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from adbench.errors import StorageError
from adbench.safe_text import one_line

MAX_DEPTH = 40
"""Levels of lists and mappings in each other; the deepest that adbench writes has eight."""
MAX_YAML_BYTES = 1 << 20
MAX_YAML_NODES = 100_000
"""Scalars, lists and mappings, with every alias counted as the whole that it stands for."""
MAX_XZ_MEMORY = 64 << 20
"""Bytes that unpacking may take beside the text; adbench's own files need 9 MiB."""

_BLOCK = 1 << 20
_KINDS = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
    stat.S_ISDIR: "a folder",
}
_QUIETLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
"""A pipe that takes the place of a file between look and opening does not block either."""


def is_there(path: Path) -> bool:
    """Whether anything lies there, be it a link to nowhere."""
    return os.path.lexists(path) if type(path) is type(Path()) else path.exists()


def open_plain(path: Path, what: str = "", inside: Path | None = None) -> BinaryIO:
    """A file, opened for reading; whatever else may be there is refused, and nothing blocks.

    Args:
        path: where it is; may be behind an address.
        what: what it should be, for the message.
        inside: a folder that no link may lead out of.

    Raises:
        StorageError: it is not there, cannot be read, or is no file.
    """
    try:
        if type(path) is not type(Path()):
            return cast("BinaryIO", path.open("rb"))
        if inside is not None and path.is_symlink() and not path.resolve().is_relative_to(inside.resolve()):
            raise StorageError(f"{path}: a link that leaves its folder; put the file itself there")
        _require_file(path, path.stat(), what)
        handle = os.open(path, _QUIETLY)
        try:
            _require_file(path, os.fstat(handle), what)
        except StorageError:
            os.close(handle)
            raise
        return os.fdopen(handle, "rb")
    except (OSError, ValueError, RuntimeError) as error:
        raise StorageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _require_file(path: Path, found: os.stat_result, what: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((word for test, word in _KINDS.items() if test(found.st_mode)), "no file")
        way = "give a file" if stat.S_ISDIR(found.st_mode) else "remove it"
        raise StorageError(f"{path}: {kind}, where {what or 'a file'} should be; {way}")


def read_plain(path: Path, most: int, what: str, inside: Path | None = None) -> str:
    """The text of a file.

    Args:
        path: where it is; may be behind an address.
        most: bytes that it may have; no more are read.
        what: what it should be, for the message: ``"a record of adbench"``.
        inside: a folder that no link may lead out of.

    Raises:
        StorageError: it cannot be read, is no file, too large or no UTF-8.
    """
    with open_plain(path, what, inside) as file:
        try:
            content = _read(file, most)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None
    return _decoded(path, content, most, what)


def _decoded(path: Path, content: bytes | None, most: int, what: str) -> str:
    if content is None:
        raise StorageError(f"{path}: larger than {_size(most)}; this is not {what}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: no UTF-8 text, cannot decode byte {error.start}; repair or remove it") from None


def read_xz(path: Path, most: int, what: str, inside: Path | None = None) -> str:
    """The text of a compressed file; as `read_plain`, with `most` the bytes of the text.

    Raises:
        StorageError: as `read_plain`, or it is no xz file, is damaged, or wants too much memory.
    """
    with open_plain(path, what, inside) as file:
        try:
            content = _read(_Unpacked(file), most)
        except (OSError, lzma.LZMAError) as error:
            raise StorageError(f"{path}: no whole xz file: {error}; repair or remove it") from None
    return _decoded(path, content, most, what)


class _Unpacked:
    """What an xz file holds, of which a block is made at a time, however much it stands for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unpack = file, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            OSError: the file ends too early, or too late.
            lzma.LZMAError: it is no xz file, or wants too much memory.
        """
        while not self._unpack.eof:
            packed = self._file.read(_BLOCK) if self._unpack.needs_input else b""
            if self._unpack.needs_input and not packed:
                raise OSError("it ends too early")
            if block := self._unpack.decompress(packed, size):
                return block
        if self._unpack.unused_data or self._file.read(1):
            raise OSError("it goes on behind its end")
        return b""


def _read(file: BinaryIO | _Unpacked, most: int) -> bytes | None:
    """All that is there, a block at a time; None where that is more than `most` bytes."""
    blocks, left = [], most
    while block := file.read(_BLOCK):
        left -= len(block)
        if left < 0:
            return None
        blocks.append(block)
    return b"".join(blocks)


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"


def parse_json(text: str, where: str) -> Any:
    """JSON of bounded depth.

    Raises:
        StorageError: it is none, or nested too deeply.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise StorageError(f"{where}: not readable as JSON: {_TOO_DEEP}") from None
    except ValueError as error:
        raise StorageError(f"{where}: not readable as JSON: {one_line(str(error), 200)}") from None
    require_shallow(value, where)
    return value


def read_json(path: Path, what: str, most: int = MAX_YAML_BYTES) -> Any:
    """The content of a JSON file.

    Args:
        path: where it is.
        what: what it should be, for the message: ``"an architecture"``.
        most: bytes that it may have.

    Raises:
        StorageError: it cannot be read, is no file, too large, nested too deeply, or no JSON.
    """
    return parse_json(read_plain(path, most, what), str(path))


_TOO_DEEP = f"nested more than {MAX_DEPTH} deep; no file of adbench is"


def require_shallow(value: Any, where: str) -> None:
    """Raise `StorageError` if lists and mappings of a JSON value lie in each other too deeply to be walked."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise StorageError(f"{where}: {_TOO_DEEP}")
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level, depth = [item for items in inner for item in items], depth + 1


def read_yaml(path: Path, what: str, most: int = MAX_YAML_BYTES, nodes: int = MAX_YAML_NODES) -> Any:
    """The content of a YAML file. Every file of settings, recipes and boards is read here.

    Args:
        path: where it is.
        what: what it should be, for the message: ``"a recipe"``.
        most: bytes that it may have.
        nodes: scalars, lists and mappings that it may stand for, aliases written out.

    Raises:
        StorageError: it cannot be read, is too large, nested too deeply, stands for too much, or is no YAML.
    """
    return parse_yaml(read_plain(path, most, what), str(path), what, nodes)


def parse_yaml(text: str, where: str, what: str, nodes: int = MAX_YAML_NODES) -> Any:
    """The content of a YAML text; see `read_yaml`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _Scales(nodes, what).weigh(yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506  one of the two safe loaders
    except StorageError as error:
        raise StorageError(f"{where}: {error}") from None
    except Exception as error:  # noqa: BLE001  a malformed scalar makes PyYAML raise nearly anything
        raise StorageError(f"{where}: not readable as YAML: {one_line(str(error), 300)}") from None


class _Scales:
    """Counts what the events of a YAML stream stand for, aliases written out."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what, self.total = most, what, 0
        self._known: dict[str, tuple[int, int]] = {}
        self._opened: list[tuple[str | None, int, int]] = []  # anchor, values before it, levels inside

    def weigh(self, events: Iterable[Any]) -> None:
        """Count, and stop where there are too many.

        Raises:
            StorageError: it stands for too much, is nested too deeply, or an alias is inside of what it stands for.
        """
        import yaml

        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                self._opened.append((event.anchor, self.total, 0))
                self._add(1, 0)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._add(*self._meant_by(event.anchor))
            elif isinstance(event, yaml.ScalarEvent):
                self._add(1, 0, event.anchor)

    def _meant_by(self, anchor: str | None) -> tuple[int, int]:
        if anchor is None or anchor not in self._known:
            raise StorageError(f"the alias {one_line(str(anchor), 50)!r} stands for nothing, or for itself")
        return self._known[anchor]

    def _close(self) -> None:
        anchor, before, levels = self._opened.pop()
        weight, self.total = self.total - before, before
        self._add(weight, levels + 1, anchor)

    def _add(self, weight: int, levels: int, anchor: str | None = None) -> None:
        self.total += weight
        if anchor is not None:
            self._known[anchor] = weight, levels
        if self._opened:
            name, before, inside = self._opened[-1]
            self._opened[-1] = name, before, max(inside, levels)
        if len(self._opened) + levels > MAX_DEPTH:
            raise StorageError(_TOO_DEEP)
        if self.total > self.most:
            raise StorageError(f"stands for more than {self.most} values; this is not {self.what}")


__all__ = [
    "is_there",
    "one_line",
    "open_plain",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_plain",
    "read_xz",
    "read_yaml",
    "require_shallow",
]
