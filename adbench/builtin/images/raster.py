"""The numbers in an image file, upright, and what they mean; what reading images and reading masks have in common."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from adbench import BadImage

if TYPE_CHECKING:
    import numpy as np

MAX_PIXELS = 170_000_000
"""The largest image that is decoded; checked in the header, so that a small file cannot fill the memory."""

LYING = {5, 6, 7, 8}
"""EXIF's orientations of an image that is stored on its side."""


class Raster(NamedTuple):
    """The stored content of a file, before it is interpreted.

    Attributes:
        numbers: [H, W] or [H, W, 3], as they are stored, of any kind of integer or float.
        white: the highest number that the file's bits can hold; None where that says nothing of white: floats, signed
            numbers, and more than 16 bits.
        inverted: the lowest number is white (TIFF's WhiteIsZero).
        alpha: [H, W] how opaque each pixel is, in any unit; None for all of them.
        palette: [N, 3] uint8, the colours that the numbers are indexes of.
        lossy: what was stored is only about what was drawn, as in a JPEG.
    """

    numbers: np.ndarray
    white: float | None
    inverted: bool = False
    alpha: np.ndarray | None = None
    palette: np.ndarray | None = None
    lossy: bool = False


@contextmanager
def bad_image(path: Path) -> Iterator[None]:
    """Whatever a decoder raises, as a `BadImage`; too little memory and a missing package are no fault of the image."""
    from PIL import Image, UnidentifiedImageError

    try:
        _require_file(path)
        yield
    except (BadImage, MemoryError, ModuleNotFoundError):
        raise
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise BadImage(path, "is empty" if empty else "is no image of a kind that adbench reads") from None
    except Image.DecompressionBombError:
        raise BadImage(path, f"has more than {MAX_PIXELS:,} pixels") from None
    except FileNotFoundError:
        raise BadImage.missing(path) from None
    except OSError as error:
        raise BadImage(path, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001  a decoder that meets damaged data raises anything
        raise BadImage(path, f"is damaged: {_short(error)}") from None


def _require_file(path: Path) -> None:
    """Raise `BadImage` for what is no file: a pipe would be waited for, and a device may never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise BadImage(path, f"is {kind}, not an image", "give the file of an image")


def _short(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def check_size(path: Path, width: int, height: int) -> None:
    """Raises `BadImage` where a header tells of more pixels than are decoded."""
    if width * height > MAX_PIXELS:
        raise BadImage(path, f"has {width}x{height} pixels, more than {MAX_PIXELS:,}")


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the camera's rotation; the numbers are EXIF's."""
    if orientation in LYING:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in {2, 3, 6, 7} else pixels
