"""Reads image and mask files: any bit depth, palette, alpha or orientation, or a `BadImage` that names the file.

What is decided here, once:

- Pillow reads the header, and imagecodecs the pixels of a PNG: it needs half the time and, like Pillow, keeps other
  threads running. Everything else is Pillow's, JPEG too, since imagecodecs takes a truncated JPEG for a whole one.
- 8 bits a channel stay uint8; 16 bits become float32 of 0 to 1. Pillow cuts the colour of a TIFF from 16 bits to 8, so
  such files are decoded twice, for the high and for the low bytes.
- Alpha is ignored: the colour under it is kept, as inspection cameras write it.
- EXIF orientation is applied; of several pages the first is read; CMYK and the like become RGB.
- Gray images get three equal channels. Floats have to lie in 0 to 1, since nothing else says what white is.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import BadImage

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = tuple(f".{kind}" for kind in str.split("png jpg jpeg jpe jfif bmp tif tiff webp ppm pgm pbm pnm"))
"""What counts as an image file, in lower case."""

MAX_PIXELS = 170_000_000
"""The largest image that is decoded; checked in the header, so that a small file cannot fill the memory."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_ORIENTATION, _LYING = 0x0112, {5, 6, 7, 8}
_TURNING = (
    b"eXIf",
    *(kind + key for kind in (b"tEXt", b"zTXt", b"iTXt") for key in (b"XML:com.adobe.xmp", b"Raw profile type exif")),
)
"""How the chunks of a PNG begin that can say how the camera was held."""
_WARNINGS = threading.Lock()

# Both halves of a 16-bit colour channel: the decoder that gives one byte, and the one that gives the other.
_NATIVE, _SWAPPED = ("L", "B") if sys.byteorder == "little" else ("B", "L")
_OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", _SWAPPED))
}


def read_image(path: Path) -> np.ndarray:
    """The picture in a file.

    Returns:
        [H, W, 3] RGB: uint8 (0 to 255), or float32 (0 to 1) where the file has more than 8 bits a channel.

    Raises:
        BadImage: the file is missing, empty, truncated, too large or no image.
    """
    import numpy as np

    pixels = _decode(path)
    return np.ascontiguousarray(pixels) if pixels.ndim == 3 else np.dstack((pixels, pixels, pixels))


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The marked pixels of a mask file: whatever is not black, in any of its colours. Alpha is ignored.

    Args:
        path: an image file of any kind that `read_image` reads.
        size: height and width of the image that the mask belongs to.

    Returns:
        [H, W] bool.

    Raises:
        BadImage: the file cannot be read, or the mask has another size.
    """
    pixels = _decode(path)
    if pixels.shape[:2] != size:
        (height, width), (wanted_height, wanted_width) = pixels.shape[:2], size
        raise BadImage(path, f"the mask has {height}x{width} pixels, its image has {wanted_height}x{wanted_width}")
    marked: np.ndarray = pixels > 0
    return marked if pixels.ndim == 2 else marked[:, :, 0] | marked[:, :, 1] | marked[:, :, 2]


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file, upright. The pixels are decoded only where these may need them.

    Raises:
        BadImage: the file is missing, empty, too large or no image.
    """
    with _bad_image(path), _opened(path) as image:
        if image.width == image.height or (image.format == "PNG" and not _may_be_turned(_content(image))):
            return image.height, image.width
        if image.format != "JPEG":
            image.load()
        lying = _orientation(image) in _LYING
        return (image.width, image.height) if lying else (image.height, image.width)


def _decode(path: Path) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, upright."""
    with _bad_image(path), _opened(path) as image:
        if image.format == "PNG":
            content = _content(image)
            return _upright(_png(content), _orientation(image) if _may_be_turned(content) else 1)
        rawmode = _rawmode(image)
        if image.format == "PPM" and image.mode == "RGB" and _most(image) > 255:
            raise BadImage(path, "has colours of more than 8 bits, which would be cut: save it as PNG or TIFF")
        wide = ";16" in rawmode and not image.mode.startswith("I")
        image.load()
        pixels = _wide(path, image, rawmode) if wide else _pixels(image)
        return _upright(pixels, _orientation(image))


@contextmanager
def _bad_image(path: Path) -> Iterator[None]:
    """Whatever a decoder raises, as a `BadImage`; running out of memory stays what it is."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (BadImage, MemoryError):
        raise
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise BadImage(path, "is empty" if empty else "is no image of a kind that adbench reads") from None
    except Image.DecompressionBombError:
        raise BadImage(path, f"has more than {MAX_PIXELS:,} pixels") from None
    except OSError as error:
        raise BadImage(path, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001  a decoder that meets damaged data raises anything
        raise BadImage(path, f"is damaged: {error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No Pillow warnings; what they warn of is judged here. One thread at a time: the filters are the process's."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image whose header has been read and found small enough."""
    from PIL import Image

    with _quiet():
        image = Image.open(path, formats=_FORMATS)
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise BadImage(path, f"has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
        yield image


def _orientation(image: Image.Image) -> int:
    """EXIF's number for how the camera was held; asked after the pixels, since it may be stored behind them."""
    with _quiet():
        return int(image.getexif().get(_ORIENTATION, 1))


def _content(image: Any) -> bytes:
    """The bytes of an opened file; no more than its pixels can need (8 each), and 16 MB for what is no pixel."""
    image.fp.seek(0)
    content: bytes = image.fp.read(10 * image.width * image.height + (1 << 24))
    return content


def _may_be_turned(content: bytes) -> bool:
    """Whether a PNG has a chunk, before or behind the pixels, that can say how the camera was held."""
    at = 8
    while at < len(content) and not content.startswith(b"IEND", at + 4):
        if content.startswith(_TURNING, at + 4):
            return True
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return False


def _png(content: bytes) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, of a PNG of any kind."""
    import numpy as np
    from imagecodecs import png_decode

    pixels: np.ndarray = png_decode(content)
    if pixels.ndim == 3:  # alpha comes last: behind one channel or behind three
        pixels = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :3]
    return _unit(pixels) if pixels.dtype == np.uint16 else pixels


def _rawmode(image: Any) -> str:
    """How the file lays out its pixels, in Pillow's words, such as ``"RGB;16B"``; empty where Pillow does not say."""
    arguments = image.tile[0][3] if image.tile else ""
    first = arguments[0] if isinstance(arguments, tuple | list) and arguments else arguments
    return first if isinstance(first, str) else ""


def _most(image: Any) -> int:
    """The number that is white in a file of the PPM family, as Pillow has read it."""
    arguments = image.tile[0][3]
    return int(arguments[1]) if isinstance(arguments, tuple) else 255


def _pixels(image: Image.Image) -> np.ndarray:
    """Pixels of an image of at most 8 bits a channel, or of one channel of any depth."""
    import numpy as np

    if image.mode.startswith(("I", "F")):
        return _deep_gray(image)
    if image.mode in {"L", "RGB"}:
        return np.array(image)
    if image.mode == "1":
        return np.array(image.convert("L"))
    if image.mode == "LA":
        return np.array(image.getchannel("L"))
    if image.mode in {"P", "PA", "RGBA", "RGBa", "La"}:
        return np.array(image.convert("RGBA"))[:, :, :3]
    return np.array(image.convert("RGB"))


def _deep_gray(image: Image.Image) -> np.ndarray:
    """[H, W] float32 of one channel of 16 bits, or of floats in 0 to 1."""
    import numpy as np

    pixels = np.array(image)
    if image.mode == "F":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise ValueError("floating point pixels have to lie between 0 and 1")
        return np.asarray(pixels, np.float32)
    if image.mode == "I" and image.format != "PPM":  # whose numbers Pillow brings to 0 to 65535
        raise ValueError("it has 32 bits a pixel, which do not say what white is; save it with 8 or 16 bits")
    return _unit(pixels)


def _wide(path: Path, image: Image.Image, rawmode: str) -> np.ndarray:
    """[H, W, 3] float32 of a colour image of 16 bits a channel."""
    import numpy as np

    if rawmode not in _OTHER_BYTE:
        raise ValueError(f"its layout {rawmode} would lose half of its 16 bits; save it as plain RGB")
    high, low = np.array(image), _load_as(path, _OTHER_BYTE[rawmode])
    return _unit(high[:, :, :3].astype(np.uint16) * 256 + low[:, :, :3])


def _unit(pixels: np.ndarray) -> np.ndarray:
    """Numbers of 16 bits as float32 of 0 to 1."""
    import numpy as np

    unit: np.ndarray = pixels.astype(np.float32) / np.float32(65535)
    return unit


def _load_as(path: Path, rawmode: str) -> np.ndarray:
    """The file's pixels as if it had another layout of the same number of bits."""
    import numpy as np

    with _opened(path) as image:
        tiles: Any = image
        tiles.tile = [_relabelled(tile, rawmode) for tile in tiles.tile]
        return np.array(image)


def _relabelled(tile: Any, rawmode: str) -> Any:
    arguments = rawmode if isinstance(tile[3], str) else (rawmode, *tile[3][1:])
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the camera's rotation; the numbers are EXIF's."""
    if orientation in _LYING:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in {2, 3, 6, 7} else pixels
