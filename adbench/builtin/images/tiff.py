"""TIFF files, read by tifffile and imagecodecs: any depth, layout, compression, byte order and orientation.

Pillow reads planar colour of 16 bits as garbage, gray of 16 bits that is stored on its side as stripes, and WhiteIsZero
of 16 bits as its negative, all without a word. It is left with what tifffile does not do: CMYK, L*a*b* and old JPEG.

Nothing is allocated that the header claims and the file cannot hold: sizes of image and tiles are bounded, and every
strip has to lie in the file.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adbench import BadImage
from adbench.builtin.images.raster import LYING, MAX_PIXELS, Raster, check_size, upright

if TYPE_CHECKING:
    import numpy as np
    from tifffile import TiffPage

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins, in either byte order, and a BigTIFF."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PLAIN, _JPEG = 1, 7
_COMPRESSIONS = {_PLAIN, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 34925, 50000}
"""None, the three of fax machines, LZW, JPEG, Deflate (two numbers), PackBits, LZMA and Zstandard."""
_SAMPLES = 64
_MULTIPLIED = 1
_ALPHA = {_MULTIPLIED, 2}
"""What a TIFF calls an extra sample that is alpha: multiplied into the colour, or not."""


class NotForUs(Exception):
    """A TIFF of a kind that Pillow may be better at."""


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF does, whatever its name.

    Raises:
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


def tiff_size(path: Path) -> tuple[int, int]:
    """Height and width of the first picture, upright, from its header."""
    with _opened(path) as page:
        height, width = page.imagelength, page.imagewidth
        return (width, height) if _orientation(page) in LYING else (height, width)


def tiff_bits(path: Path) -> int:
    """The bits a channel of the first picture, where they are whole numbers without a sign; else 0."""
    with _opened(path) as page:
        return page.bitspersample if page.dtype is not None and page.dtype.kind == "u" else 0


def read_tiff(path: Path) -> Raster:
    """The first picture of a file.

    Raises:
        NotForUs: its colours or compression are none of tifffile's.
        BadImage: it is truncated, too large, or lies about itself.
        Exception: whatever tifffile raises where it meets damaged data.
    """
    with _opened(path) as page:
        _check_kind(page)
        _check_segments(path, page)
        return _raster(path, page)


@contextmanager
def _opened(path: Path) -> Iterator[TiffPage]:
    """The first page of a file whose header has been found small enough."""
    from tifffile import TiffFile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it complains of is judged here
    with TiffFile(path) as file:
        page = cast("TiffPage", file.pages.first)
        _check_header(path, page)
        yield page


def _check_header(path: Path, page: TiffPage) -> None:
    check_size(path, page.imagewidth, page.imagelength)
    if page.is_tiled:
        check_size(path, page.tilewidth, page.tilelength)
    if page.imagedepth != 1 or not 1 <= page.samplesperpixel <= _SAMPLES or 0 in (page.imagewidth, page.imagelength):
        raise ValueError("its header tells of no picture")
    itemsize = 1 if page.dtype is None else page.dtype.itemsize
    if page.imagewidth * page.imagelength * page.samplesperpixel * itemsize > 8 * MAX_PIXELS:
        raise BadImage(path, f"its pixels need more than {8 * MAX_PIXELS:,} bytes")


def _orientation(page: TiffPage) -> int:
    number = page.tags.valueof(274, default=1)
    return number if isinstance(number, int) else 1


def _check_kind(page: TiffPage) -> None:
    photometric = int(page.photometric)
    known = photometric in {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE}
    coded = photometric == _YCBCR and page.compression == _JPEG
    bits = page.tags.valueof(258, default=1)
    if not (known or coded) or page.compression not in _COMPRESSIONS or len(set(_several(bits))) > 1:
        raise NotForUs


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _check_segments(path: Path, page: TiffPage) -> None:
    """Every strip or tile is there, lies in the file, and is no larger picture than it should be."""
    size = path.stat().st_size
    offsets, counts = page.dataoffsets, page.databytecounts
    if len(offsets) < _segments(page) or len(offsets) != len(counts):
        raise ValueError("a part of its pixels is missing")
    for offset, count in zip(offsets, counts, strict=True):
        if offset <= 0 or count <= 0 or offset + count > size:
            raise ValueError("it is truncated, or a part of its pixels is missing")
    if page.compression == _PLAIN and sum(counts) * 8 < _bits(page):
        raise ValueError("it is truncated: fewer bytes than pixels")
    if page.compression == _JPEG:
        _check_jpegs(path, page)


def _segments(page: TiffPage) -> int:
    """The number of strips or tiles of the picture."""
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    if page.is_tiled:
        return planes * math.ceil(page.imagelength / page.tilelength) * math.ceil(page.imagewidth / page.tilewidth)
    return planes * math.ceil(page.imagelength / page.rowsperstrip)


def _bits(page: TiffPage) -> int:
    return page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample


def _check_jpegs(path: Path, page: TiffPage) -> None:
    """A JPEG allocates what its own header says: that has to be what the TIFF says of the strip."""
    wide, high = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    with path.open("rb") as file:
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(offset)
            for height, width in _frames(file.read(min(count, 1 << 16))):
                if height > max(high, page.imagelength) or width > max(wide, page.imagewidth):
                    raise ValueError("a strip is a larger picture than the whole")


def _frames(content: bytes) -> Iterator[tuple[int, int]]:
    """Height and width in each frame header (SOF) of a JPEG."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:
            yield int.from_bytes(content[at + 5 : at + 7], "big"), int.from_bytes(content[at + 7 : at + 9], "big")
        at += 2 + max(2, length)


def _raster(path: Path, page: TiffPage) -> Raster:
    """The numbers of a page that has been checked."""
    import numpy as np

    numbers: np.ndarray = page.asarray(maxworkers=1, squeeze=False)
    planes, _, height, width, samples = numbers.shape
    numbers = np.moveaxis(numbers[:, 0], 0, 2).reshape(height, width, planes * samples)
    if numbers.dtype == bool:
        numbers = numbers.view(np.uint8)
    if numbers.dtype.kind not in "uif":
        raise BadImage(
            path, f"holds numbers of the kind {numbers.dtype}, which are no brightness; save it as gray or RGB"
        )
    numbers = upright(numbers, _orientation(page))
    kept = _colours(path, page, numbers.shape[2])
    white, alpha = _white(numbers, page.bitspersample), _alpha(page, kept, numbers)
    numbers = numbers[:, :, :3] if kept == 3 else numbers[:, :, 0]
    if alpha is not None and page.extrasamples[0] == _MULTIPLIED:
        numbers = _divided(path, numbers, alpha, white)
    return Raster(
        numbers=np.ascontiguousarray(numbers),
        white=white,
        inverted=page.photometric == _WHITE_IS_ZERO,
        alpha=alpha,
        palette=_palette(page),
        lossy=page.compression == _JPEG,
    )


def _colours(path: Path, page: TiffPage, samples: int) -> int:
    """The number of colour samples: one or three. Three gray samples without alpha count as RGB."""
    if int(page.photometric) in {_RGB, _YCBCR}:
        if samples < 3:
            raise BadImage(path, f"has {samples} channels, which are no RGB; save it as gray or RGB")
        return 3
    if samples <= 2 or page.photometric == _PALETTE or _ALPHA & set(_several(page.extrasamples)):
        return 1
    if samples == 3:
        return 3
    raise BadImage(path, f"has {samples} channels that do not say what colours they are; save it as gray or RGB")


def _alpha(page: TiffPage, colours: int, numbers: np.ndarray) -> np.ndarray | None:
    for number, kind in enumerate(_several(page.extrasamples)):
        if kind in _ALPHA and colours + number < numbers.shape[2]:
            alpha: np.ndarray = numbers[:, :, colours + number]
            return alpha
    return None


def _divided(path: Path, numbers: np.ndarray, alpha: np.ndarray, white: float | None) -> np.ndarray:
    """The colour before alpha was multiplied into it, as Pillow finds it."""
    import numpy as np

    if white is None:
        raise BadImage(path, "has alpha multiplied into numbers of no known white; save it without alpha")
    top = np.int64(white)
    alpha = alpha[..., None] if numbers.ndim == 3 else alpha
    plain = np.minimum(numbers * top // np.maximum(alpha, 1), top).astype(numbers.dtype)
    divided: np.ndarray = np.where((alpha == 0) | (alpha == top), numbers, plain)
    return divided


def _white(numbers: np.ndarray, bits: int) -> float | None:
    return float((1 << bits) - 1) if numbers.dtype.kind == "u" and bits <= 16 else None


def _palette(page: TiffPage) -> np.ndarray | None:
    """[N, 3] uint8. The standard has 16 bits a colour; files with 8, of old, are known by their numbers."""
    import numpy as np

    if page.photometric != _PALETTE or page.colormap is None:
        return None
    colours = np.asarray(page.colormap).T
    palette: np.ndarray = (colours if colours.max(initial=0) < 256 else colours // 256).astype(np.uint8)
    return palette
