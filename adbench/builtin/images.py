"""Reads image files: any bit depth, palette, alpha or orientation, or a `BadImage` that names the file.

What is decided here, once:

- Pillow reads the header, and imagecodecs the pixels of a PNG: it needs half the time and, like Pillow, keeps other
  threads running. TIFF is tifffile's (`builtin/tiff.py`). Everything else is Pillow's, JPEG too, since imagecodecs takes
  a truncated JPEG for a whole one.
- 8 bits a channel stay uint8; more bits become float32 of 0 to 1. What is white is what the bits can hold, or what the
  caller says: cameras of 10 to 14 bits write files of 16.
- Alpha is ignored: the colour under it is kept, as inspection cameras write it.
- EXIF orientation is applied; of several pages the first is read; CMYK and the like become RGB.
- Gray images get three equal channels. Floats have to lie in 0 to 1 where nobody says what white is.

Masks are read by a rule of their own (`builtin/masks.py`).
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from adbench import BadImage
from adbench.builtin.raster import LYING, MAX_PIXELS, Raster, bad_image, check_size, upright

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = tuple(f".{kind}" for kind in str.split("png jpg jpeg jpe jfif bmp tif tiff webp ppm pgm pbm pnm"))
"""What counts as an image file, in lower case."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_ORIENTATION = 0x0112
_TURNING = (
    b"eXIf",
    *(kind + key for kind in (b"tEXt", b"zTXt", b"iTXt") for key in (b"XML:com.adobe.xmp", b"Raw profile type exif")),
)
"""How the chunks of a PNG begin that can say how the camera was held."""
_WARNINGS = threading.Lock()


def read_image(path: Path, white: float | None = None) -> np.ndarray:
    """The picture in a file.

    Args:
        path: the file.
        white: the number that is white in files with more than 8 bits a channel, such as 4095 from a camera of 12 bits;
            what is higher is white too. None for what the file's bits can hold, and 1 for floats.

    Returns:
        [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1) where the file has more than 8 bits a channel.

    Raises:
        BadImage: the file is missing, empty, truncated, too large or no image, or nothing says what white is.
    """
    import numpy as np

    pixels = _decode(path, white)
    return np.ascontiguousarray(pixels) if pixels.ndim == 3 else np.dstack((pixels, pixels, pixels))


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file, upright. The pixels are decoded only where these may need them.

    Raises:
        BadImage: the file is missing, empty, too large or no image.
    """
    from adbench.builtin.tiff import is_tiff, tiff_size

    with bad_image(path):
        if is_tiff(path):
            return tiff_size(path)
        with opened(path) as image:
            if image.width == image.height or (image.format == "PNG" and not may_be_turned(content_of(image))):
                return image.height, image.width
            if image.format != "JPEG":
                image.load()
            return (image.width, image.height) if orientation_of(image) in LYING else (image.height, image.width)


def has_16_bits(path: Path) -> bool:
    """Whether a file has 16 bits a channel, whole numbers, which a camera of fewer bits may not fill; by its header.

    Raises:
        BadImage: the file is missing, or no TIFF although it begins as one.
    """
    from adbench.builtin.tiff import is_tiff, tiff_bits

    with bad_image(path):
        if is_tiff(path):
            return tiff_bits(path) == 16
        with path.open("rb") as file:
            head = file.read(25)
    return head.startswith(b"\x89PNG") and head[24:25] == b"\x10"


def _decode(path: Path, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, upright."""
    from adbench.builtin.tiff import is_tiff

    with bad_image(path):
        if is_tiff(path):
            return _of_tiff(path, white)
        with opened(path) as image:
            if image.format == "PNG":
                content = content_of(image)
                return upright(_png(content, white), orientation_of(image) if may_be_turned(content) else 1)
            if image.format == "PPM" and image.mode == "RGB" and _most(image) > 255:
                raise BadImage(path, "has colours of more than 8 bits, which would be cut; save it as PNG or TIFF")
            white = white if image.format == "PPM" and _most(image) == 65535 else None
            image.load()
            return upright(_unless_deep(image, white), orientation_of(image))


def _most(image: Any) -> int:
    """The number that is white in a file of the PPM family, as Pillow has read it."""
    arguments = image.tile[0][3]
    return int(arguments[1]) if isinstance(arguments, tuple) else 255


def _unless_deep(image: Image.Image, white: float | None) -> np.ndarray:
    """The pixels; gray of more than 8 bits, which of these formats only PGM has, is brought to 0 to 65535 by Pillow."""
    import numpy as np

    if image.mode.startswith("I"):
        return unit_of(np.array(image), white or 65535, clip=white is not None)
    return colours(image)


def _of_tiff(path: Path, white: float | None) -> np.ndarray:
    from adbench.builtin.tiff import NotForUs, read_tiff

    try:
        return developed(path, read_tiff(path), white)
    except NotForUs:
        return by_pillow(path)


def by_pillow(path: Path) -> np.ndarray:
    """[H, W] or [H, W, 3] uint8: a TIFF of colours or a compression that tifffile leaves to others."""
    # From an open file: given a path, Pillow maps the file and takes what lies on its side for upright.
    with path.open("rb") as file, opened(path, file) as image:
        _refuse_deep(path, image)
        image.load()
        return upright(colours(image), orientation_of(image))


def _refuse_deep(path: Path, image: Image.Image) -> None:
    """Pillow cuts colour of 16 bits to 8, and reads other depths as it pleases."""
    bits: Any = image.tag_v2.get(258, (1,)) if image.format == "TIFF" else ()  # type: ignore[attr-defined]
    if image.mode.startswith(("I", "F")) or any(depth > 8 for depth in bits):
        raise BadImage(path, "has more than 8 bits a channel in colours that are not RGB; save it as gray or RGB")


def developed(path: Path, raster: Raster, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32: what the numbers in a file show.

    Raises:
        BadImage: nothing says what white is, or a number is negative or none.
    """
    import numpy as np

    numbers, top = raster.numbers, raster.white
    if raster.palette is not None:
        return raster.palette[np.minimum(numbers, len(raster.palette) - 1)]
    if top is not None and top <= 255:
        levels = _as_bytes(numbers, top)
        return 255 - levels if raster.inverted else levels
    if top is None:
        _check_scale(path, numbers, white)
    full = white or top or 1
    if raster.inverted:
        numbers = full - np.minimum(numbers, full)
    return unit_of(numbers, full, clip=white is not None)


def _as_bytes(numbers: np.ndarray, top: float) -> np.ndarray:
    """Numbers of at most 8 bits as 0 to 255."""
    import numpy as np

    if top == 255:
        return numbers
    scaled: np.ndarray = np.rint(numbers * (255 / top)).astype(np.uint8)
    return scaled


def _check_scale(path: Path, numbers: np.ndarray, white: float | None) -> None:
    """Raises `BadImage` unless something says what white is for floats, and for integers of no usual depth."""
    say = "say what white is (the option 'white' of the dataset)"
    if numbers.dtype.kind != "f" and white is None:
        kind = f"{8 * numbers.dtype.itemsize} bits a pixel" + (" with a sign" if numbers.dtype.kind == "i" else "")
        raise BadImage(path, f"it has {kind}, which do not say what white is; {say}, or save it with 8 or 16 bits")
    lowest, highest = numbers.min(), numbers.max()
    if not (lowest >= 0 and highest < float("inf")):
        raise BadImage(path, "holds numbers that are negative or not finite; pixels have to lie between 0 and 1")
    if white is None and highest > 1:
        raise BadImage(path, f"floating point pixels have to lie between 0 and 1; {say}")


def unit_of(numbers: np.ndarray, white: float, *, clip: bool = False) -> np.ndarray:
    """Numbers as float32 of 0 to 1. Only what is asked for is clipped: the file's own white is never exceeded."""
    import numpy as np

    unit: np.ndarray = numbers.astype(np.float32) / np.float32(white)
    return np.minimum(unit, np.float32(1)) if clip else unit


@contextmanager
def _quiet() -> Iterator[None]:
    """No Pillow warnings; what they warn of is judged here. One thread at a time: the filters are the process's."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@contextmanager
def opened(path: Path, file: BinaryIO | None = None, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """An image whose header has been read and found small enough."""
    from PIL import Image

    with _quiet():
        image = Image.open(path if file is None else file, formats=formats)
    with image:
        check_size(path, image.width, image.height)
        yield image


def orientation_of(image: Image.Image) -> int:
    """EXIF's number for how the camera was held; asked after the pixels, since it may be stored behind them."""
    with _quiet():
        return int(image.getexif().get(_ORIENTATION, 1))


def content_of(image: Any) -> bytes:
    """The bytes of an opened file; no more than its pixels can need (8 each), and 16 MB for what is no pixel."""
    image.fp.seek(0)
    content: bytes = image.fp.read(10 * image.width * image.height + (1 << 24))
    return content


def may_be_turned(content: bytes) -> bool:
    """Whether a PNG has a chunk, before or behind the pixels, that can say how the camera was held."""
    at = 8
    while at < len(content) and not content.startswith(b"IEND", at + 4):
        if content.startswith(_TURNING, at + 4):
            return True
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return False


def png_pixels(content: bytes) -> np.ndarray:
    """[H, W] or [H, W, 2 to 4] uint8 or uint16, alpha last, of a PNG of any kind."""
    from imagecodecs import png_decode

    pixels: np.ndarray = png_decode(content)
    return pixels


def _png(content: bytes, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, of a PNG of any kind."""
    import numpy as np

    pixels = png_pixels(content)
    if pixels.ndim == 3:  # alpha comes last: behind one channel or behind three
        pixels = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :3]
    return unit_of(pixels, white or 65535, clip=white is not None) if pixels.dtype == np.uint16 else pixels


def colours(image: Image.Image) -> np.ndarray:
    """[H, W] or [H, W, 3] uint8: the pixels of an image of at most 8 bits a channel, without alpha."""
    import numpy as np

    if image.mode in {"L", "RGB"}:
        return np.array(image)
    if image.mode == "1":
        return np.array(image.convert("L"))
    if image.mode == "LA":
        return np.array(image.getchannel("L"))
    if image.mode in {"P", "PA", "RGBA", "RGBa", "La"}:
        return np.array(image.convert("RGBA"))[:, :, :3]
    return np.array(image.convert("RGB"))
