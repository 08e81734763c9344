"""Arrays in a file instead of in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import BinaryIO, overload

import numpy as np

_FLOAT32 = np.dtype("<f4")


class Filed(Sequence[np.ndarray]):
    """Arrays of float32 that lie one after the other in a file; each is read when it is asked for, by one thread.

    Args:
        file: is closed when the arrays are no longer needed.
        shapes: of the arrays that are in it.
        start: the byte where the first one begins.
    """

    def __init__(self, file: BinaryIO, shapes: Iterable[tuple[int, ...]] = (), start: int = 0) -> None:
        self._file, self._shapes, self._starts = file, list(shapes), [start]
        for shape in self._shapes:
            self._starts.append(self._starts[-1] + _bytes(shape))
        weakref.finalize(self, file.close)

    def append(self, array: np.ndarray) -> None:
        """Write one more at the end.

        Raises:
            OSError: the disk is full.
        """
        self._file.seek(self._starts[-1])
        self._file.write(array.astype(_FLOAT32).tobytes())
        self._file.flush()
        self._shapes.append(array.shape)
        self._starts.append(self._starts[-1] + _bytes(array.shape))

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
        self._file.seek(self._starts[place])
        content = bytearray(self._file.read(_bytes(self._shapes[place])))
        return np.frombuffer(content, _FLOAT32).reshape(self._shapes[place])


def _bytes(shape: tuple[int, ...]) -> int:
    return _FLOAT32.itemsize * int(np.prod(shape))
