"""The run lengths in which Label Studio keeps what a brush has painted.

A stream of bits: 32 for the number of values, 5 for the bits of a value less one, four times 4 for the bits of a
length less one. Then pieces follow: one bit (1: one value that repeats, 0: single values), two bits that choose one of
the four lengths, the length less one, and the value or values (the format of thi.ng's rle-pack). The values are those
of an RGBA image, of which the last channel counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_CHANNELS = 4
_LENGTHS = (3, 4, 8, 16)
"""Bits of the lengths that `encode` may choose from, as Label Studio writes them."""
_LONGEST = 1 << 16


class Bits:
    """Reads numbers from bytes, bit by bit."""

    def __init__(self, data: Sequence[int]) -> None:
        self._bytes, self._place = bytes(data), 0

    def read(self, count: int) -> int:
        """The next `count` bits as a number.

        Raises:
            ValueError: there are fewer.
        """
        end = self._place + count
        if end > 8 * len(self._bytes):
            raise ValueError("the run lengths end too early")
        number = int.from_bytes(self._bytes[self._place // 8 : (end + 7) // 8], "big")
        self._place = end
        return number >> -end % 8 & ((1 << count) - 1)


def decode(data: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool: the pixels that are painted.

    Args:
        data: bytes as numbers.
        size: height and width.

    Raises:
        ValueError: the run lengths do not fill an image of this size.
    """
    import numpy as np

    bits, total = Bits(data), size[0] * size[1] * _CHANNELS
    if bits.read(32) != total:
        raise ValueError("the run lengths are those of an image of another size")
    word = bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    values, place = np.zeros(total, np.uint8), 0
    while place < total:
        repeats = bits.read(1)
        count = bits.read(lengths[bits.read(2)]) + 1
        if place + count > total:
            raise ValueError("the run lengths are longer than the image")
        if repeats:
            values[place : place + count] = bits.read(word) & 255
        else:
            values[place : place + count] = [bits.read(word) & 255 for _ in range(count)]
        place += count
    painted: np.ndarray = values.reshape(*size, _CHANNELS)[:, :, -1] > 0
    return painted


def encode(mask: np.ndarray) -> list[int]:
    """Bytes as numbers; `decode` makes the same mask of them.

    Args:
        mask: [H, W] bool.
    """
    import numpy as np

    flat = np.repeat(mask.ravel(), _CHANNELS)
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    ends = np.append(starts[1:], flat.size)
    pieces = [f"{flat.size:032b}{7:05b}", *(f"{length - 1:04b}" for length in _LENGTHS)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        for begin in range(start, end, _LONGEST):
            count = min(end - begin, _LONGEST)
            choice = next(place for place, length in enumerate(_LENGTHS) if count <= 1 << length)
            pieces.append(f"1{choice:02b}{count - 1:0{_LENGTHS[choice]}b}{255 if flat[start] else 0:08b}")
    text = "".join(pieces)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
