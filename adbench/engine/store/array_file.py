"""Arrays on disk instead of in memory. However many there are, one file is open at most.

Arrays of an `ArrayFile` lie together in the one nameless file of this process; `Stored` ones lie in a file with a name,
which is opened for each that is read.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from threading import RLock
from typing import Any, overload

import numpy as np

from adbench.errors import StorageError

FLOAT32, BOOL = np.dtype("<f4"), np.dtype("?")

Extent = tuple[int, int]
"""Where an array begins, and how many bytes it has."""


class _Arrays(Sequence[np.ndarray]):
    """Arrays of one type, each read when it is asked for, and the reader's own."""

    def __init__(self, kind: np.dtype[Any], shapes: Iterable[tuple[int, ...]] = ()) -> None:
        self._kind, self._shapes = kind, list(shapes)

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays; no array is read for it."""
        return sum(map(self._bytes, self._shapes))

    def _bytes(self, shape: tuple[int, ...]) -> int:
        return self._kind.itemsize * int(np.prod(shape))

    @abstractmethod
    def _read(self, place: int) -> bytes: ...

    def __len__(self) -> int:
        return len(self._shapes)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return np.frombuffer(bytearray(self._read(place)), self._kind).reshape(self._shapes[place])


class ArrayFile(_Arrays):
    """Arrays that are appended to a file on disk, and are deleted with this object.

    Args:
        kind: of the numbers.
    """

    def __init__(self, kind: np.dtype[Any] = FLOAT32) -> None:
        super().__init__(kind)
        self._volume, self._extents = _volume(), list[Extent]()
        weakref.finalize(self, self._volume.free, self._extents).atexit = False

    def append(self, array: np.ndarray) -> None:
        """Append an array.

        Raises:
            OSError: the disk is full.
        """
        self._extents.append(self._volume.write(array.astype(self._kind).tobytes()))
        self._shapes.append(array.shape)

    def _read(self, place: int) -> bytes:
        return self._volume.read(*self._extents[place])


class Stored(_Arrays):
    """Arrays that lie one after the other in a file.

    Args:
        path: the file.
        shapes: of the arrays that are in it.
        start: the byte where the first one begins.
        kind: of the numbers.
        state: of the file when its header was read, from `file_state`.
    """

    def __init__(
        self,
        path: Path,
        shapes: Iterable[tuple[int, ...]],
        start: int,
        kind: np.dtype[Any] = FLOAT32,
        state: object = None,
    ) -> None:
        super().__init__(kind, shapes)
        self._path, self._state = path, state
        self._starts = list(accumulate(map(self._bytes, self._shapes), initial=start))

    def _read(self, place: int) -> bytes:
        """The bytes of one array.

        Raises:
            StorageError: the file was replaced by another one.
        """
        start, end = self._starts[place : place + 2]
        try:
            with self._path.open("rb") as file:
                if self._state is None or file_state(self._path) == self._state:
                    file.seek(start)
                    content = file.read(end - start)
                    if len(content) == end - start:
                        return content
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror or error}; it was there before: run again") from None
        raise StorageError(f"{self._path}: another process has changed it meanwhile; run again")


def file_state(path: Path) -> object:
    """The size, time and number of a file: they show whether it was changed or replaced.

    Raises:
        OSError: there is none.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


class _Volume:
    """The file without a name. Room that is given back is used again for arrays of the same size.

    A process that was forked off reads in it, but writes in a file of its own. The file is known by its inode: if a
    component has closed its descriptor, the number may be that of another file by now, which is left alone.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        with tempfile.TemporaryFile(buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        self._inode = _inode_of(self._descriptor)
        weakref.finalize(self, _close, self._descriptor, self._inode)  # when no array refers to it
        self._lock = RLock()  # garbage collection may give room back in the midst of a write
        self._room: defaultdict[int, list[int]] = defaultdict(list)
        self._end = self._used = 0

    @property
    def there(self) -> bool:
        """Whether the descriptor is still that of the file."""
        return _inode_of(self._descriptor) == self._inode

    def _require_there(self) -> None:
        if not self.there:
            raise StorageError("scores that were kept are gone: a component has closed their file; run the unit again")

    def write(self, content: bytes) -> Extent:
        self._require_there()
        with self._lock:
            self._used += 1
            places = self._room[len(content)]
            place = places.pop() if places else self._end
            self._end = max(self._end, place + len(content))
        done, view = 0, memoryview(content)
        while done < len(content):
            done += os.pwrite(self._descriptor, view[done:], place + done)
        return place, len(content)

    def read(self, place: int, size: int) -> bytes:
        self._require_there()
        content = b""
        while len(content) < size:
            found = os.pread(self._descriptor, size - len(content), place + len(content))
            if not found:
                raise StorageError(f"scores in {tempfile.gettempdir()} are gone; run again")
            content += found
        return content

    def free(self, extents: list[Extent]) -> None:
        if self.process != os.getpid():
            return
        with self._lock:
            for place, size in extents:
                self._room[size].append(place)
            self._used -= len(extents)
            if not self._used:
                self._room.clear()
                self._end = 0
                if self.there:
                    os.ftruncate(self._descriptor, 0)


def _inode_of(descriptor: int) -> tuple[int, int] | None:
    """The number that identifies a file; None where the descriptor is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _close(descriptor: int, inode: tuple[int, int] | None) -> None:
    if _inode_of(descriptor) == inode is not None:
        os.close(descriptor)


_current: list[_Volume] = []


def _volume() -> _Volume:
    """The volume of this process."""
    if not _current or _current[0].process != os.getpid() or not _current[0].there:
        _current[:] = [_Volume()]
    return _current[0]
