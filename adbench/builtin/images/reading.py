"""Reads image files: any bit depth, palette, alpha or orientation, or a `BadImage` that names the file.

What is decided here, once:

- imagecodecs decodes PNG, tifffile TIFF (`builtin/tiff.py`), and Pillow everything else (`builtin/decoders.py`).
- 8 bits a channel stay uint8; more bits become float32 of 0 to 1. What is white is what the bits can hold, or what the
  caller says: cameras of 10 to 14 bits write files of 16.
- Alpha is ignored: the colour under it is kept, as inspection cameras write it.
- EXIF orientation is applied; of several pages the first is read; CMYK and the like become RGB.
- Gray images get three equal channels. Floats have to lie in 0 to 1 where no number for white is given.

Masks are read by a rule of their own (`builtin/masks.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import BadImage
from adbench.builtin.images.decoders import (
    by_pillow,
    colours,
    content_of,
    may_be_turned,
    opened,
    orientation_of,
    png_pixels,
)
from adbench.builtin.images.masks import read_mask
from adbench.builtin.images.raster import LYING, MAX_PIXELS, Raster, bad_image, upright

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = tuple(f".{kind}" for kind in str.split("png jpg jpeg jpe jfif bmp tif tiff webp ppm pgm pbm pnm"))
"""What counts as an image file, in lower case."""
MASK_SUFFIXES = (*SUFFIXES, ".gif")
"""What counts as a mask file: no camera writes a GIF, but people draw masks in them."""
OTHER_SUFFIXES = frozenset(
    f".{kind}"
    for kind in str.split(
        "apng arw avif avifs bw cin cr2 cr3 cur dcm dcx dds dib dng dpx emf eps exr fits fli flc fts gif hdr heic"
        " heics heif hif icns ico im j2c j2k jp2 jpc jpf jpx jxl jxr mat mpo msp nef nii npy npz nrrd orf pam pcd pcx"
        " pfm psd qoi raf ras raw rgb rgba rw2 sgi svg tga wbmp wdp wmf xbm xcf xpm"
    )
)
"""The suffixes of pictures that are not read, in lower case."""

__all__ = [
    "MASK_SUFFIXES",
    "MAX_PIXELS",
    "OTHER_SUFFIXES",
    "SUFFIXES",
    "has_16_bits",
    "read_image",
    "read_mask",
    "read_size",
]


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
    from adbench.builtin.images.tiff import is_tiff, tiff_size

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
    from adbench.builtin.images.tiff import is_tiff, tiff_bits

    with bad_image(path):
        if is_tiff(path):
            return tiff_bits(path) == 16
        with path.open("rb") as file:
            head = file.read(25)
    return head.startswith(b"\x89PNG") and head[24:25] == b"\x10"


def _decode(path: Path, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, upright."""
    from adbench.builtin.images.tiff import is_tiff

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
    from adbench.builtin.images.tiff import NotForUs, read_tiff

    try:
        return developed(path, read_tiff(path), white)
    except NotForUs:
        return by_pillow(path)


def developed(path: Path, raster: Raster, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32: what the numbers in a file show.

    Raises:
        BadImage: nothing says what white is, or a number is negative or none.
    """
    import numpy as np

    numbers, top = raster.numbers, raster.white
    if raster.palette is not None:
        shown: np.ndarray = raster.palette[np.minimum(numbers, len(raster.palette) - 1)]
        return shown
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
    say = "say what white is (the option 'white')"
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


def _png(content: bytes, white: float | None) -> np.ndarray:
    """[H, W] or [H, W, 3], uint8 or float32, of a PNG of any kind."""
    import numpy as np

    pixels = png_pixels(content)
    if pixels.ndim == 3:  # alpha comes last: behind one channel or behind three
        pixels = pixels[:, :, 0] if pixels.shape[2] == 2 else pixels[:, :, :3]
    return unit_of(pixels, white or 65535, clip=white is not None) if pixels.dtype == np.uint16 else pixels
