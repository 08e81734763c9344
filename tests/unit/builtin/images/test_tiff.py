"""TIFFs of every kind, written by tifffile and read back: the numbers that went in are the picture that comes out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from adbench import BadImage
from adbench.builtin.images import tiff
from adbench.builtin.images.masks import read_mask
from adbench.builtin.images.raster import MAX_PIXELS
from adbench.builtin.images.reading import has_16_bits, read_image, read_size

TURNED = {  # by the names of EXIF: where row 0 and column 0 lie
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


class Kind(NamedTuple):
    """How a TIFF is written."""

    bits: int
    channels: str
    planar: bool
    compression: str | None
    predictor: bool
    tiled: bool
    rows: int | None
    byteorder: str
    orientation: int
    big: bool
    inverted: bool


KINDS = st.builds(
    Kind,
    bits=st.sampled_from([1, 2, 4, 8, 10, 12, 14, 16]),
    channels=st.sampled_from(["gray", "rgb", "gray+alpha", "rgb+alpha", "rgb+other"]),
    planar=st.booleans(),
    compression=st.sampled_from([None, "zlib", "lzw", "packbits", "zstd", "lzma"]),
    predictor=st.booleans(),
    tiled=st.booleans(),
    rows=st.sampled_from([None, 1, 3, 8]),
    byteorder=st.sampled_from("<>"),
    orientation=st.integers(1, 8),
    big=st.booleans(),
    inverted=st.booleans(),
)


def written(path: Path, kind: Kind, shape: tuple[int, int], seed: int) -> np.ndarray:
    """[H, W, C] the numbers of the picture, as they were drawn; the file lies at the path."""
    whole = kind.bits in {8, 16}
    inverted = kind.inverted and kind.channels == "gray"
    colours = 3 if kind.channels.startswith("rgb") else 1
    samples = colours + ("+" in kind.channels)
    dtype = np.uint8 if kind.bits <= 8 else np.uint16
    drawn = np.random.default_rng(seed).integers(0, 1 << kind.bits, (*shape, samples)).astype(dtype)
    stored = (1 << kind.bits) - 1 - drawn if inverted else drawn
    extra = {"alpha": "unassalpha", "other": "unspecified"}.get(kind.channels.partition("+")[2])
    planar = kind.planar and samples > 1
    data = np.moveaxis(stored, 2, 0) if planar else stored if samples > 1 else stored[:, :, 0]
    options = {} if whole else {"bitspersample": kind.bits}
    if samples > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    if extra:
        options["extrasamples"] = [extra]
    if kind.tiled:
        options["tile"] = (16, 16)
    elif kind.rows and whole:
        options["rowsperstrip"] = kind.rows
    if whole:  # tifffile packs bits only where nothing else is done to them
        options |= {"compression": kind.compression, "predictor": kind.predictor and kind.compression is not None}
    if kind.bits == 1:
        data = data.astype(bool) if samples == 1 else data
        options = {} if samples == 1 else options
    byteorder = kind.byteorder if whole else "<"  # tifffile packs the swapped bytes of the other one; reading is right
    photometric = "rgb" if colours == 3 else "miniswhite" if inverted else "minisblack"
    tifffile.imwrite(
        path,
        np.ascontiguousarray(data.astype(data.dtype.newbyteorder(byteorder))),
        byteorder=byteorder,
        bigtiff=kind.big,
        photometric=photometric,
        extratags=[(274, "H", 1, kind.orientation, True)],
        metadata=None,
        **options,
    )
    return drawn[:, :, :colours]


def picture(numbers: np.ndarray, bits: int) -> np.ndarray:
    """[H, W, 3] what an image of these numbers shows."""
    three = np.repeat(numbers, 3, axis=2) if numbers.shape[2] == 1 else numbers
    if bits <= 8:
        return np.rint(three * (255 / ((1 << bits) - 1))).astype(np.uint8)
    return three.astype(np.float32) / np.float32((1 << bits) - 1)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(kind=KINDS, shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99))
def test_every_depth_layout_compression_orientation_and_byte_order(tmp_path, kind, shape, seed):
    path = tmp_path / "a.tif"
    try:
        numbers = written(path, kind, shape, seed)
    except (ValueError, NotImplementedError):  # a combination that tifffile does not write
        return
    expected = TURNED[kind.orientation](picture(numbers, kind.bits))
    found = read_image(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert read_size(path) == expected.shape[:2]
    assert has_16_bits(path) == (kind.bits == 16)


def test_tifffile_writes_most_of_these_kinds(tmp_path):
    """The test above would prove nothing if most kinds could not be written."""
    written_kinds = 0
    for bits in (1, 2, 4, 8, 10, 12, 14, 16):
        for channels in ("gray", "rgb"):
            kind = Kind(bits, channels, False, "zlib", True, False, 3, "<", 6, False, False)
            try:
                written(tmp_path / "a.tif", kind, (9, 16), 0)
            except (ValueError, NotImplementedError):
                continue
            written_kinds += 1
    assert written_kinds >= 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])
def test_gray_that_is_stored_on_its_side(tmp_path, bits, orientation):
    kind = Kind(bits, "gray", False, None, False, False, None, "<", orientation, False, False)
    expected = TURNED[orientation](picture(written(tmp_path / "a.tif", kind, (7, 12), 0), bits))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats(tmp_path, byteorder, compression, dtype):
    values = np.linspace(0, 1, 48, dtype=dtype).reshape(6, 8)
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.dtype(dtype).newbyteorder(byteorder)), byteorder=byteorder,
                     compression=compression, predictor=compression is not None)  # fmt: skip
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 1], values.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32])
def test_white_is_what_somebody_says(tmp_path, dtype):
    values = np.arange(48, dtype=dtype).reshape(6, 8) * 80
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(BadImage, match=r"white"):
        read_image(tmp_path / "a.tif")
    expected = (values.astype(np.float32) / np.float32(4095)).clip(max=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 4095)[:, :, 0], expected)
    assert read_image(tmp_path / "a.tif", 2000).max() == 1


def test_white_of_an_inverted_picture(tmp_path):
    values = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80
    tifffile.imwrite(tmp_path / "a.tif", 4095 - values, photometric="miniswhite")
    np.testing.assert_allclose(read_image(tmp_path / "a.tif", 4095)[:, :, 0], values / 4095, atol=1e-6)


def test_white_says_nothing_of_8_bits(tmp_path):
    values = np.arange(48, dtype=np.uint8).reshape(6, 8)
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 4095)[:, :, 0], values)


@pytest.mark.parametrize("colourspace", ["rgb", "ycbcr"])
def test_jpeg_in_a_tiff(tmp_path, colourspace):
    flat = np.full((32, 48, 3), (200, 100, 50), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", flat, photometric="rgb" if colourspace == "rgb" else "ycbcr", compression="jpeg",
        compressionargs={"outcolorspace": colourspace}, planarconfig="contig",
    )  # fmt: skip
    expected = tifffile.imread(tmp_path / "a.tif")
    found = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, expected)


def test_a_palette_of_16_bits_a_colour(tmp_path):
    index = np.arange(48, dtype=np.uint8).reshape(6, 8)
    colours = np.random.default_rng(0).integers(0, 256, (3, 256), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=colours.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), colours.T[index])
    picture = Image.fromarray(index, mode=None).convert("P")
    picture.putpalette(colours.T.tobytes())
    picture.save(tmp_path / "b.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "b.tif"), np.array(Image.open(tmp_path / "b.tif").convert("RGB"))
    )


def test_colour_that_alpha_was_multiplied_into_comes_back_as_pillow_finds_it(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    rgba[:, :, :3] = rgba[:, :, :3].astype(int) * rgba[:, :, 3:] // 255
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["assocalpha"])
    with Image.open(tmp_path / "a.tif") as opened:
        expected = np.array(opened.convert("RGBA"))[:, :, :3]
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_what_tifffile_leaves_to_others_is_read_by_pillow(tmp_path, mode):
    rgb = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    picture = Image.fromarray(rgb).convert(mode) if mode != "LAB" else Image.fromarray(rgb, mode=None)
    if mode == "LAB":
        picture = Image.frombytes("LAB", (20, 12), rgb.tobytes())
    picture.save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        expected = np.array(opened.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


def test_three_grays_are_rgb_and_more_are_refused(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (6, 9, 5), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels[:, :, :3], photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif"), pixels[:, :, :3].astype(np.float32) / np.float32(65535)
    )
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="minisblack", planarconfig="contig")
    with pytest.raises(BadImage, match="5 channels"):
        read_image(tmp_path / "b.tif")


def test_cmyk_of_16_bits_is_refused(tmp_path):
    pixels = np.zeros((6, 9, 4), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="separated")
    with pytest.raises(BadImage, match="more than 8 bits"):
        read_image(tmp_path / "a.tif")


def test_the_first_page_is_read(tmp_path):
    pixels = np.arange(96, dtype=np.uint8).reshape(2, 6, 8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 0], pixels[0])


def test_a_tiff_by_another_name(tmp_path):
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8)
    tifffile.imwrite(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png")[:, :, 0], pixels.astype(np.float32) / np.float32(65535)
    )


def test_a_mask_that_is_stored_on_its_side(tmp_path):
    marked = np.zeros((7, 12), bool)
    marked[1:3, 4:9] = True
    kind = marked.astype(np.uint16) * 65535
    tifffile.imwrite(tmp_path / "a.tif", kind, extratags=[(274, "H", 1, 6, True)], metadata=None)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", (12, 7)), np.rot90(marked, -1))


def test_frames_of_a_jpeg():
    assert list(tiff._frames(b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x10\x00\x20")) == [(16, 32)]
    assert list(tiff._frames(b"")) == []


def test_a_large_picture_is_refused_by_its_header(tmp_path):
    pixels = np.zeros((4, 4), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata=None)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages.first.tags[256].overwrite(1 << 16)
        file.pages.first.tags[257].overwrite(1 << 16)
    assert content != (tmp_path / "a.tif").read_bytes()
    with pytest.raises(BadImage, match=f"more than {MAX_PIXELS:,}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_8_bits_that_pillow_wrote_are_read_as_pillow_reads_them(tmp_path, mode, compression):
    drawn = np.kron(np.random.default_rng(0).integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    if compression == "jpeg" and mode in {"1", "P", "LA", "RGBA"}:
        pytest.skip("libtiff does not write these as JPEG, or alpha with losses")
    Image.fromarray(drawn).convert(mode).save(tmp_path / "a.tif", compression=compression)
    with Image.open(tmp_path / "a.tif") as opened:
        expected = np.array(opened.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_what_a_fax_sends(tmp_path, compression):
    drawn = np.random.default_rng(0).random((40, 60)) > 0.5
    Image.fromarray(drawn).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 2], drawn * np.uint8(255))
