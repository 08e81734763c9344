from __future__ import annotations

import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import BadImage
from adbench.builtin.images import MAX_PIXELS, read_image, read_mask, read_size

RGB = np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = RGB[:, :, 0].copy()
DEEP = np.random.default_rng(4).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def saved(folder: Path, name: str, pixels: np.ndarray | Image.Image, **options) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(folder / name, **options)
    return folder / name


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path: Path, pixels: np.ndarray, colour: int, filtered: bool = False) -> Path:
    """A PNG of 16 bits a channel, which Pillow cannot write."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    if filtered:  # filter 1: each byte less the one a pixel before
        step = rows.shape[1] // width
        shifted = np.pad(rows, ((0, 0), (step, 0)))[:, : rows.shape[1]]
        rows = rows - shifted
    lines = b"".join(bytes([int(filtered)]) + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    return path


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert found.flags.writeable


def three(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[:, :, None], 3, axis=2)


def unit(deep: np.ndarray) -> np.ndarray:
    return deep.astype(np.float32) / np.float32(65535)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.webp"])
def test_colour(tmp_path, name):
    same(read_image(saved(tmp_path, name, RGB, **({"lossless": True} if name == "a.webp" else {}))), RGB)


def test_jpeg(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    found = read_image(saved(tmp_path, "a.jpg", flat, quality=95))
    assert np.abs(found.astype(int) - flat).max() < 8


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_gray(tmp_path, name):
    same(read_image(saved(tmp_path, name, GRAY)), three(GRAY))


def test_one_bit(tmp_path):
    same(read_image(saved(tmp_path, "a.png", Image.fromarray(GRAY > 99))), three((GRAY > 99) * np.uint8(255)))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 250, 25))])
def test_palette(tmp_path, transparency):
    picture = Image.fromarray(GRAY % 10, mode=None).convert("L")
    picture.putpalette([value for index in range(10) for value in (index * 20, 255 - index * 20, 7)])
    options = {} if transparency is None else {"transparency": transparency}
    index = (GRAY % 10).astype(int)
    expected = np.stack([index * 20, 255 - index * 20, np.full_like(index, 7)], axis=2).astype(np.uint8)
    same(read_image(saved(tmp_path, "a.png", picture, **options)), expected)


def test_alpha_is_ignored(tmp_path):
    alpha = np.zeros((6, 9, 1), np.uint8)
    same(read_image(saved(tmp_path, "a.png", np.concatenate([RGB, alpha], axis=2))), RGB)
    same(read_image(saved(tmp_path, "b.png", Image.fromarray(np.dstack([GRAY, alpha[:, :, 0]])))), three(GRAY))


def test_cmyk(tmp_path):
    picture = Image.fromarray(RGB).convert("CMYK")
    same(read_image(saved(tmp_path, "a.tif", picture)), np.array(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_gray_of_16_bits(tmp_path, name):
    same(read_image(saved(tmp_path, name, DEEP[:, :, 0])), three(unit(DEEP[:, :, 0])))


def test_big_endian_gray_of_16_bits(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", DEEP[:, :, 0].astype(">u2"), byteorder=">")
    same(read_image(tmp_path / "a.tif"), three(unit(DEEP[:, :, 0])))


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)])
def test_png_colour_of_16_bits(tmp_path, colour, channels, filtered):
    path = png(tmp_path / "a.png", DEEP[:, :, :channels].copy(), colour, filtered)
    same(read_image(path), unit(DEEP[:, :, :3]))


def test_png_gray_and_alpha_of_16_bits(tmp_path):
    same(read_image(png(tmp_path / "a.png", DEEP[:, :, :2].copy(), 4, True)), three(unit(DEEP[:, :, 0])))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_colour_of_16_bits(tmp_path, byteorder, compression, channels):
    tifffile = pytest.importorskip("tifffile")
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        DEEP[:, :, :channels].astype(f"{byteorder}u2"),
        byteorder=byteorder,
        photometric="rgb",
        compression=compression,
        rowsperstrip=2,
        **extra,
    )
    same(read_image(tmp_path / "a.tif"), unit(DEEP[:, :, :3]))


def test_floats_between_0_and_1(tmp_path):
    values = np.linspace(0, 1, 54, dtype=np.float32).reshape(6, 9)
    same(read_image(saved(tmp_path, "a.tif", values)), three(values))
    with pytest.raises(BadImage, match="between 0 and 1"):
        read_image(saved(tmp_path, "b.tif", values * 2))
    with pytest.raises(BadImage, match="between 0 and 1"):
        read_image(saved(tmp_path, "c.tif", np.where(values > 0.5, np.float32("nan"), values)))


def test_32_bit_integers_are_refused(tmp_path):
    with pytest.raises(BadImage, match="32 bits"):
        read_image(saved(tmp_path, "a.tif", DEEP[:, :, 0].astype(np.int32)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_orientation(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {  # by the names of EXIF: where row 0 and column 0 lie
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RGB, 1),
    }
    path = saved(tmp_path, name, RGB, exif=exif)
    same(read_image(path), np.ascontiguousarray(turned[orientation]))
    assert read_size(path) == turned[orientation].shape[:2]


def test_size_needs_no_pixels_of_a_square_image(tmp_path):
    path = saved(tmp_path, "a.png", RGB[:6, :6])
    path.write_bytes(path.read_bytes()[:60])
    assert read_size(path) == (6, 6)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif", "a.webp"])
def test_a_truncated_file_is_named(tmp_path, name):
    path = saved(tmp_path, name, np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadImage, match=r"a\.\w+: .*(truncated|damaged|cannot be read|is no image)"):
        read_image(path)


def test_damaged_files_raise_nothing_but_bad_image(tmp_path):
    rng = np.random.default_rng(9)
    for name in ("a.png", "a.jpg", "a.bmp", "a.tif", "a.webp"):
        content = np.frombuffer(saved(tmp_path, name, RGB).read_bytes(), np.uint8)
        for _ in range(60):
            damaged = content.copy()
            damaged[rng.integers(0, len(damaged), 4)] = rng.integers(0, 256, 4)
            (tmp_path / name).write_bytes(damaged.tobytes())
            with suppress(BadImage):
                assert read_image(tmp_path / name).ndim == 3


def test_an_empty_file_and_a_file_of_text(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(BadImage, match=r"a\.png: is empty; repair or remove it"):
        read_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("this is no image")
    with pytest.raises(BadImage, match=r"b\.png: is no image"):
        read_image(tmp_path / "b.png")
    with pytest.raises(BadImage, match=r"c\.png: cannot be read: No such file"):
        read_image(tmp_path / "c.png")


def test_other_kinds_of_images_are_not_decoded(tmp_path):
    path = saved(tmp_path, "a.gif", GRAY)
    with pytest.raises(BadImage, match="is no image of a kind"):
        read_image(path.rename(tmp_path / "a.png"))


@pytest.mark.parametrize("side", [11_000, 13_200, 40_000])  # Pillow warns, we refuse, Pillow refuses
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, side):
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    expected = f"more than {MAX_PIXELS:,}" if side > 13_000 else "a.png: .*(truncated|damaged)"
    with pytest.raises(BadImage, match=expected):
        read_image(path)


def test_masks_of_any_kind(tmp_path):
    marked = GRAY > 128
    picture = Image.fromarray(marked.astype(np.uint8)).convert("L")  # 0 and 1
    same(read_mask(saved(tmp_path, "a.png", picture), (6, 9)), marked)
    same(read_mask(saved(tmp_path, "b.png", Image.fromarray(marked)), (6, 9)), marked)
    same(read_mask(saved(tmp_path, "c.tif", marked.astype(np.uint16)), (6, 9)), marked)
    red = np.zeros((6, 9, 4), np.uint8)
    red[marked, 0] = 255
    same(read_mask(saved(tmp_path, "d.png", red), (6, 9)), marked)
    picture.putpalette([0, 0, 0, 0, 200, 0])
    same(read_mask(saved(tmp_path, "e.png", picture), (6, 9)), marked)


def test_a_mask_of_another_size(tmp_path):
    with pytest.raises(BadImage, match=r"a\.png: the mask has 6x9 pixels, its image has 9x6"):
        read_mask(saved(tmp_path, "a.png", GRAY), (9, 6))


def test_threads_leave_the_warning_filters_alone(tmp_path):
    import warnings

    path, before = saved(tmp_path, "a.png", RGB), list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_image(path) for _ in range(30)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
