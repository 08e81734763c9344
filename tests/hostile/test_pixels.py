"""Image and mask files that are damaged, truncated, of odd kinds, or lie about themselves.

Each is refused in one sentence that names the file, or read for what it is; quickly, and in bounded memory.
"""

from __future__ import annotations

import resource
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from adbench import BadImage
from adbench.builtin.images.reading import read_image, read_mask, read_size

GRAY = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
DEEP = np.random.default_rng(1).integers(0, 65536, (40, 60), dtype=np.uint16)
MARKED = np.zeros((40, 60), np.uint8)
MARKED[10:20, 10:30] = 255
SECONDS, MEGABYTES = 5.0, 700


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, int, int]], pixels: bytes = b"\0" * 64, next_ifd: int = 0) -> bytes:
    """A little-endian TIFF of one page: type, count and value of each tag. The pixels lie at 8."""
    ifd = 8 + len(pixels)
    entries = b"".join(struct.pack("<HHII", tag, *message) for tag, message in sorted(tags.items()))
    return (
        b"II*\0"
        + struct.pack("<I", ifd)
        + pixels
        + struct.pack("<H", len(tags))
        + entries
        + struct.pack("<I", next_ifd)
    )


SHORT, LONG = 3, 4
PLAIN = {
    256: (LONG, 1, 8),
    257: (LONG, 1, 8),
    258: (SHORT, 1, 8),
    259: (SHORT, 1, 1),
    262: (SHORT, 1, 1),
    273: (LONG, 1, 8),
    277: (SHORT, 1, 1),
    278: (LONG, 1, 8),
    279: (LONG, 1, 64),
}
"""Eight by eight black pixels."""
ZEROS = zlib.compress(b"\0" * (1 << 28), 9)
"""A quarter of a gigabyte in a quarter of a megabyte."""


def lying(**changes: tuple[int, int, int]) -> bytes:
    return tiff(PLAIN | {int(name[1:]): message for name, message in changes.items()})


def of_tifffile(pixels: np.ndarray, **options) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        tifffile.imwrite(folder / "made.tif", pixels, metadata=None, **options)
        return (folder / "made.tif").read_bytes()

    return make


def of_pillow(suffix: str, pixels: np.ndarray = GRAY, **options) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        Image.fromarray(pixels).save(folder / f"made{suffix}", **options)
        return (folder / f"made{suffix}").read_bytes()

    return make


def cut(make: Callable[[Path], bytes], share: float) -> Callable[[Path], bytes]:
    def shorter(folder: Path) -> bytes:
        content = make(folder)
        return content[: int(len(content) * share)]

    return shorter


REFUSED: dict[str, Callable[[Path], bytes] | bytes] = {
    "empty": b"",
    "text": b"this is no image",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "an archive of NumPy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}" + b"\x80\x04.",
    "a signature and no more": b"II*\0",
    "a BigTIFF's signature and no more": b"II+\0\x08\0\0\0",
    "a TIFF whose first page lies behind its end": b"II*\0\xff\xff\xff\x7f",
    "a TIFF without tags": b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    "a TIFF whose page is its header": b"II*\0\0\0\0\0",
    "a TIFF of no width": lying(t256=(LONG, 1, 0)),
    "a TIFF of 4 billion pixels a row": lying(t256=(LONG, 1, 0xFFFFFFFF)),
    "a TIFF of many samples": lying(t277=(SHORT, 1, 0xFFFF)),
    "a TIFF of many strips": lying(t278=(LONG, 1, 1)),
    "a TIFF whose strip lies behind its end": lying(t273=(LONG, 1, 1 << 30)),
    "a TIFF whose strip is larger than it": lying(t279=(LONG, 1, 1 << 30)),
    "a TIFF whose strip is smaller than its pixels": lying(t279=(LONG, 1, 8)),
    "a TIFF whose strip is empty": lying(t279=(LONG, 1, 0)),
    "a TIFF with a billion offsets": lying(t273=(LONG, 1 << 30, 8)),
    "a TIFF of an unknown compression": lying(t259=(SHORT, 1, 61234)),
    "a TIFF of 7 planes of depth": lying(t32997=(LONG, 1, 7)),
    "a TIFF with tiles of a billion pixels": tiff(
        {tag: message for tag, message in PLAIN.items() if tag not in {273, 278, 279}}
        | {322: (LONG, 1, 1 << 15), 323: (LONG, 1, 1 << 15), 324: (LONG, 1, 8), 325: (LONG, 1, 64)}
    ),
    "a TIFF of complex numbers": of_tifffile(np.ones((8, 8), np.complex64)),
    "a TIFF of not a number": of_tifffile(np.full((8, 8), np.nan, np.float32)),
    "a TIFF of infinities": of_tifffile(np.full((8, 8), np.inf, np.float32)),
    "a TIFF of negative numbers": of_tifffile(np.full((8, 8), -3, np.int16)),
    "a TIFF cut in its strips": cut(of_tifffile(DEEP, rowsperstrip=4), 0.5),
    "a TIFF cut in its LZW": cut(of_tifffile(DEEP, compression="lzw"), 0.5),
    "a TIFF cut in its Deflate": cut(of_tifffile(DEEP, compression="zlib", tile=(16, 16)), 0.7),
    "a TIFF cut in its last byte": cut(of_tifffile(DEEP), 0.9999),
    "a PNG cut in its pixels": cut(of_pillow(".png", DEEP), 0.6),
    "a JPEG cut in its pixels": cut(of_pillow(".jpg"), 0.6),
    "a WebP cut in its pixels": cut(of_pillow(".webp"), 0.6),
    "a BMP cut in its pixels": cut(of_pillow(".bmp"), 0.6),
    "a PNG of no pixels": png(0, 7),
    "a PNG of 2 billion pixels a row": png(0x7FFFFFFF, 0x7FFFFFFF, chunk(b"IDAT", zlib.compress(b""))),
    "a PNG whose pixels are a bomb of other size": png(60000, 2000, chunk(b"IDAT", ZEROS[:1000])),
    "a PNG of an impossible depth": png(8, 8, chunk(b"IDAT", zlib.compress(b"\0" * 72)), depth=3),
    "a PNG with a wrong sum": png(8, 8, b"\0\0\0\x02IDATxx\0\0\0\0"),
}


def saved(folder: Path, made: Callable[[Path], bytes] | bytes) -> Path:
    path = folder / "a.png"
    path.write_bytes(made if isinstance(made, bytes) else made(folder))
    return path


class Bounded:
    """Less than so much time and memory."""

    def __enter__(self) -> None:
        self._peak, self._started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()

    def __exit__(self, *_: object) -> None:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._peak) / 1024
        assert time.perf_counter() - self._started < SECONDS
        assert grown < MEGABYTES, f"{grown:.0f} MB"


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence(tmp_path, name):
    path = saved(tmp_path, REFUSED[name])
    for read in (read_image, lambda path: read_mask(path, (8, 8))):
        with Bounded(), pytest.raises(BadImage) as refused:
            read(path)
        message = str(refused.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert len(message) < len(str(path)) + 500
    with Bounded(), suppress(BadImage):
        read_size(path)


HARMLESS: dict[str, Callable[[Path], bytes] | bytes] = {
    "a TIFF of one black square": tiff(PLAIN),
    "a TIFF whose next page is itself": tiff(PLAIN, next_ifd=8 + 64),
    "a TIFF of an unknown orientation": lying(t274=(SHORT, 1, 99)),
    "a TIFF of an orientation that is a text": lying(t274=(2, 4, 0x41414141)),
    "a TIFF with an unknown tag that lies behind its end": lying(t65000=(LONG, 1 << 20, 1 << 30)),
    "a TIFF whose deflated strip is a bomb": tiff(PLAIN | {259: (SHORT, 1, 8), 279: (LONG, 1, len(ZEROS))}, ZEROS),
    "a PNG with a description that is a bomb": png(
        8, 8, chunk(b"zTXt", b"a\0\0" + ZEROS), chunk(b"IDAT", zlib.compress(b"\0" * 72))
    ),
    "a PNG with what follows it": png(8, 8, chunk(b"IDAT", zlib.compress(b"\0" * 72))) + b"\0" * 10_000,
    "a TIFF of 64-bit floats": of_tifffile(np.zeros((8, 8))),
    "a TIFF of half floats": of_tifffile(np.zeros((8, 8), np.float16)),
    "a TIFF of 3 pages": of_tifffile(np.zeros((3, 8, 8), np.uint8), photometric="minisblack"),
    "a TIFF with a palette that ends early": of_tifffile(
        np.zeros((8, 8), np.uint8), photometric="palette", colormap=np.zeros((3, 256), np.uint16)
    ),
    "a PNG with a palette that is missing": png(8, 8, chunk(b"IDAT", zlib.compress(b"\0" * 72)), colour=3),
    "a JPEG of CMYK": lambda folder: cmyk(folder, ".jpg"),
    "a TIFF of CMYK": lambda folder: cmyk(folder, ".tif"),
}


def cmyk(folder: Path, suffix: str) -> bytes:
    Image.new("CMYK", (8, 8)).save(folder / f"made{suffix}")
    return (folder / f"made{suffix}").read_bytes()


@pytest.mark.parametrize("name", HARMLESS)
def test_read_for_what_it_is_or_refused(tmp_path, name):
    path = saved(tmp_path, HARMLESS[name])
    with Bounded(), suppress(BadImage):
        assert read_image(path).shape == (8, 8, 3)
    with Bounded(), suppress(BadImage):
        assert read_mask(path, (8, 8)).shape == (8, 8)


SOUND = {
    "png": of_pillow(".png", MARKED),
    "png of 16 bits": of_pillow(".png", DEEP),
    "jpeg": of_pillow(".jpg", MARKED),
    "webp": of_pillow(".webp", MARKED),
    "gif": of_pillow(".gif", MARKED),
    "tiff": of_tifffile(DEEP, rowsperstrip=8),
    "tiff by lzw": of_tifffile(DEEP, compression="lzw", predictor=True),
    "tiff in tiles": of_tifffile(DEEP, compression="zlib", tile=(16, 16)),
    "tiff by jpeg": of_tifffile(np.dstack([MARKED] * 3), compression="jpeg", photometric="rgb"),
    "planar tiff": of_tifffile(np.stack([DEEP] * 3), photometric="rgb", planarconfig="separate"),
    "big tiff": of_tifffile(DEEP, bigtiff=True, byteorder=">"),
}


@pytest.mark.parametrize("name", SOUND)
def test_whatever_bytes_change_nothing_but_bad_image_is_raised(tmp_path, name):
    made, rng = SOUND[name](tmp_path), np.random.default_rng(3)
    content = np.frombuffer(made, np.uint8)
    path = tmp_path / "a.png"
    with Bounded():
        for trial in range(60):
            damaged = content.copy()
            # headers and tags lie at either end
            where = rng.integers(0, len(damaged), 4) if trial % 2 else rng.integers(0, min(300, len(damaged)), 3)
            damaged[where] = rng.integers(0, 256, len(where))
            path.write_bytes(damaged.tobytes())
            with suppress(BadImage):
                assert read_image(path).ndim == 3
            with suppress(BadImage):
                assert read_mask(path, (40, 60)).shape == (40, 60)
            with suppress(BadImage):
                assert len(read_size(path)) == 2


def test_a_folder_a_loop_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("folder.png", "loop.png", "missing.png"):
        for read in (read_image, read_size, lambda path: read_mask(path, (8, 8))):
            with pytest.raises(BadImage, match=name):
                read(tmp_path / name)
