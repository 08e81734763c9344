from __future__ import annotations

import os
import struct
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from adbench import BadImage
from adbench.builtin.images import decoders
from adbench.builtin.images.reading import MAX_PIXELS, has_16_bits, read_image, read_mask, read_size

RGB = np.random.default_rng(3).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = RGB[:, :, 0].copy()
DEEP = np.random.default_rng(4).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def saved(folder: Path, name: str, pixels: np.ndarray | Image.Image, **options) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(folder / name, **options)
    return folder / name


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path: Path, pixels: np.ndarray, colour: int, filtered: bool = False, interlaced: bool = False) -> Path:
    """A PNG of 16 bits a channel, or an interlaced one, which Pillow cannot write."""
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = b"".join(scanlines(pixels[top::down, left::right], filtered) for top, left, down, right in passes)
    depth = 8 * pixels.itemsize
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, int(interlaced))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
    return path


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Top, left, and the steps down and right, of each pass of an interlaced PNG."""


def scanlines(pixels: np.ndarray, filtered: bool) -> bytes:
    height, width = pixels.shape[:2]
    if not (height and width):
        return b""
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    if filtered:  # filter 1: each byte less the one a pixel before
        step = rows.shape[1] // width
        shifted = np.pad(rows, ((0, 0), (step, 0)))[:, : rows.shape[1]]
        rows = rows - shifted
    return b"".join(bytes([int(filtered)]) + row.tobytes() for row in rows)


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


@pytest.mark.parametrize(("pixels", "colour"), [(GRAY, 0), (RGB, 2), (DEEP[:, :, :3].copy(), 2)])
def test_an_interlaced_png(tmp_path, pixels, colour):
    found = read_image(png(tmp_path / "a.png", pixels, colour, interlaced=True))
    same(found, unit(pixels) if pixels is not GRAY and pixels is not RGB else RGB if colour else three(GRAY))


def by_pillow(path: Path) -> np.ndarray:
    """What Pillow makes of a file of at most 8 bits a channel, or of gray with 16; the colour under alpha is kept."""
    with Image.open(path) as picture:
        if picture.mode.startswith("I"):
            return three(unit(np.array(picture)))
        if picture.mode == "LA":
            return three(np.array(picture.getchannel("L")))
        return np.array(picture.convert("RGBA"))[:, :, :3]


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Image.Image, dict]:
    """Pictures of every kind that Pillow can write as PNG, and how they are written."""
    size = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    mode = draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]))
    options: dict = {"compress_level": draw(st.sampled_from([0, 1, 6])), "compress_type": draw(st.integers(0, 3))}
    if mode == "I;16":
        return Image.fromarray(draw(arrays(np.uint16, size))), options
    channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(mode)
    pixels = draw(arrays(np.uint8, size if channels is None else (*size, channels)))
    if mode == "1":
        return Image.fromarray(pixels > 127), options
    if mode == "P":
        colours = draw(st.sampled_from([2, 4, 16, 256]))
        picture = Image.fromarray(pixels & np.uint8(colours - 1))
        picture.putpalette(draw(st.binary(min_size=3 * colours, max_size=3 * colours)))
        options |= draw(
            st.sampled_from([{}, {"transparency": 1}, {"transparency": bytes(range(0, min(200, 2 * colours), 2))}])
        )
        return picture, options
    if mode == "RGB":
        options |= draw(st.sampled_from([{}, {"transparency": (1, 2, 3)}]))
    return Image.fromarray(pixels, mode=None), options


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pictures())
def test_a_png_of_any_kind_reads_as_pillow_reads_it(tmp_path, drawn):
    picture, options = drawn
    path = saved(tmp_path, "a.png", picture, **options)
    same(read_image(path), by_pillow(path))


def test_real_pngs_read_as_pillow_reads_them(real_data):
    paths = sorted(real_data.glob("mvtec-mini/**/*.png"))[::9]
    assert paths
    for path in paths:
        same(read_image(path), by_pillow(path))


def test_the_first_picture_of_an_animation(tmp_path):
    path = saved(tmp_path, "a.png", Image.fromarray(RGB), save_all=True, append_images=[Image.fromarray(255 - RGB)])
    same(read_image(path), RGB)


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


def test_orientation_of_a_jpeg(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, "a.jpg", RGB, exif=exif)
    with Image.open(path) as picture:
        same(read_image(path), np.ascontiguousarray(np.rot90(np.array(picture), -1)))
    assert read_size(path) == (9, 6)


@pytest.mark.parametrize("kind", ["behind the pixels", "in a description"])
def test_orientation_of_a_png_that_says_it_elsewhere(tmp_path, kind):
    exif, described = Image.Exif(), PngInfo()
    exif[0x0112] = 6
    described.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    path = saved(tmp_path, "a.png", RGB, **({"pnginfo": described} if kind == "in a description" else {}))
    if kind == "behind the pixels":
        content, end = path.read_bytes(), chunk(b"IEND", b"")
        path.write_bytes(content.removesuffix(end) + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + end)
    same(read_image(path), np.ascontiguousarray(np.rot90(RGB, -1)))
    assert read_size(path) == (9, 6)


def test_other_descriptions_do_not_turn_a_png(tmp_path):
    described = PngInfo()
    described.add_text("Software", "camera 6")
    path = saved(tmp_path, "a.png", RGB, pnginfo=described)
    same(read_image(path), RGB)
    assert read_size(path) == (6, 9)


@pytest.mark.parametrize("width", [6, 9])
def test_size_needs_no_pixels_of_a_png(tmp_path, width):
    path = saved(tmp_path, "a.png", RGB[:, :width])
    path.write_bytes(path.read_bytes()[:60])
    assert read_size(path) == (6, width)


def test_size_needs_no_pixels_of_a_jpeg(tmp_path):
    path = saved(tmp_path, "a.jpg", RGB)
    path.write_bytes(path.read_bytes()[:-60])
    assert read_size(path) == (6, 9)


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


def test_a_png_with_a_changed_byte_is_named(tmp_path):
    path = saved(tmp_path, "a.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadImage, match=r"a\.png: is damaged: "):
        read_image(path)


def test_what_follows_a_png_is_not_read(tmp_path):
    path = saved(tmp_path, "a.png", RGB)
    with path.open("ab") as file:
        file.truncate(1 << 25)
    with Image.open(path) as picture:
        assert len(decoders.content_of(picture)) == 10 * 6 * 9 + (1 << 24)
    same(read_image(path), RGB)


def test_an_empty_file_and_a_file_of_text(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(BadImage, match=r"a\.png: is empty; repair or remove it"):
        read_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("this is no image")
    with pytest.raises(BadImage, match=r"b\.png: is no image"):
        read_image(tmp_path / "b.png")
    with pytest.raises(BadImage, match=r"c\.png: there is no such file"):
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


@pytest.mark.parametrize("read", [read_image, read_size, has_16_bits, lambda path: read_mask(path, (6, 9))])
def test_what_is_no_file_is_not_waited_for(tmp_path, read):
    """A pipe that nobody writes to would be read for ever, as would a device."""
    os.mkfifo(tmp_path / "pipe.png")
    for path, kind in ((tmp_path / "pipe.png", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "device")):
        with pytest.raises(BadImage, match=f"{kind}.*, not an image"):
            read(path)
