"""Opens image files and decodes their pixels without interpreting them: headers first, bounded sizes, no warnings.

Pillow reads the header, and imagecodecs the pixels of a PNG: it needs half the time and, like Pillow, keeps other
threads running. Everything else but TIFF (`builtin/tiff.py`) is Pillow's, JPEG too, since imagecodecs takes a truncated
JPEG for a whole one.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from adbench import BadImage
from adbench.builtin.images.raster import check_size, upright

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_ORIENTATION = 0x0112
_TURNING = (
    b"eXIf",
    *(kind + key for kind in (b"tEXt", b"zTXt", b"iTXt") for key in (b"XML:com.adobe.xmp", b"Raw profile type exif")),
)
"""The first bytes of PNG chunks that can hold the camera's orientation."""
_WARNINGS = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Pillow's warnings, whose causes are checked here. One thread at a time: filters are the process's."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


@contextmanager
def opened(path: Path, file: BinaryIO | None = None, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """Open an image, and check by its header that it is small enough."""
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
    """Whether a PNG has a chunk, before or behind the pixels, that can hold the camera's orientation."""
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


def by_pillow(path: Path) -> np.ndarray:
    """[H, W] or [H, W, 3] uint8: a TIFF of colours or a compression that tifffile leaves to others."""
    # From an open file: given a path, Pillow maps the file and takes what lies on its side for upright.
    with path.open("rb") as file, opened(path, file) as image:
        _refuse_deep(path, image)
        image.load()
        return upright(colours(image), orientation_of(image))


def _refuse_deep(path: Path, image: Image.Image) -> None:
    """Refuse colour images of 16 bits, which Pillow reduces to 8, and other depths, which it misreads."""
    bits: Any = image.tag_v2.get(258, (1,)) if image.format == "TIFF" else ()  # type: ignore[attr-defined]
    if image.mode.startswith(("I", "F")) or any(depth > 8 for depth in bits):
        raise BadImage(path, "has more than 8 bits a channel in colours that are not RGB; save it as gray or RGB")


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
