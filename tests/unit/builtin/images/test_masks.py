"""How people store masks, read by one rule: eight by eight pixels of a defect, or a disc, in 96 by 96."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from adbench import BadImage
from adbench.builtin.images.masks import read_mask, read_mask_file

SQUARE = np.zeros((96, 96), bool)
SQUARE[40:48, 30:38] = True
ROWS, COLUMNS = np.mgrid[:96, :96]
DISC = (ROWS - 44) ** 2 + (COLUMNS - 34) ** 2 <= 20**2
WHITE = SQUARE.astype(np.uint8) * 255
NORMAL = np.zeros((96, 96), np.uint8)


def saved(path: Path, pixels: np.ndarray | Image.Image, **options) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def painted(colour: tuple[int, ...], background: tuple[int, ...]) -> np.ndarray:
    pixels = np.empty((96, 96, len(colour)), np.uint8)
    pixels[...] = background
    pixels[SQUARE] = colour
    return pixels


def palette(colours: list[int], index: np.ndarray | None = None) -> Image.Image:
    picture = Image.frombytes("P", (96, 96), (SQUARE if index is None else index).astype(np.uint8).tobytes())
    if colours:
        picture.putpalette(colours + [0] * (768 - len(colours)))
    return picture


def tiff(pixels: np.ndarray, **options) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tifffile.imwrite(folder / "a.tif", pixels, metadata=None, **options)
        return folder / "a.tif"

    return write


def file(name: str, pixels: np.ndarray | Image.Image, **options) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / name, pixels, **options)


RIGHT = {
    "0 and 255": (file("a.png", WHITE), ""),
    "0 and 1": (file("a.png", SQUARE.astype(np.uint8)), ""),
    "one bit": (file("a.png", Image.fromarray(SQUARE)), ""),
    "class 3": (file("a.png", SQUARE.astype(np.uint8) * 3), ""),
    "gray 100": (file("a.png", SQUARE.astype(np.uint8) * 100), ""),
    "bmp": (file("a.bmp", WHITE), ""),
    "gif": (file("a.gif", WHITE), ""),
    "lossless webp": (file("a.webp", WHITE, lossless=True), ""),
    "16 bits": (file("a.png", SQUARE.astype(np.uint16) * 65535), ""),
    "16 bits, class 2": (file("a.png", SQUARE.astype(np.uint16) * 2), ""),
    "red": (file("a.png", painted((255, 0, 0), (0, 0, 0))), ""),
    "dark blue": (file("a.png", painted((0, 0, 60), (0, 0, 0))), ""),
    "background 1": (file("a.png", np.where(SQUARE, 255, 1).astype(np.uint8)), "no 0: its lowest number, 1"),
    "labels 1 and 2": (file("a.png", np.where(SQUARE, 2, 1).astype(np.uint8)), "no 0: its lowest number, 1"),
    "red on transparent": (file("a.png", painted((255, 0, 0, 128), (0, 0, 0, 0))), ""),
    "black on transparent": (file("a.png", painted((0, 0, 0, 255), (0, 0, 0, 0))), "by its alpha"),
    "white on transparent white": (file("a.png", painted((255, 255, 255, 255), (255, 255, 255, 0))), "by its alpha"),
    "gray and alpha": (file("a.png", painted((0, 255), (0, 0))), "by its alpha"),
    "alpha of 16 bits": (
        tiff(
            np.dstack([NORMAL, NORMAL, NORMAL, WHITE]).astype(np.uint16) * 257,
            photometric="rgb",
            extrasamples=["unassalpha"],
        ),
        "by its alpha",
    ),
    "palette of VOC": (file("a.png", palette([0, 0, 0, 128, 0, 0])), ""),
    "palette without colours": (file("a.png", palette([])), "numbers of its palette"),
    "palette, black on white": (file("a.png", palette([255, 255, 255, 0, 0, 0])), "numbers of its palette"),
    "palette whose first colour is the defect's": (file("a.png", palette([255, 255, 255], ~SQUARE)), ""),
    "palette of a GIF": (file("a.gif", palette([255, 255, 255, 0, 0, 0])), "numbers of its palette"),
    "labels of 32 bits": (tiff(SQUARE.astype(np.int32)), ""),
    "labels of 64 bits": (tiff(SQUARE.astype(np.int64) * 7), ""),
    "unsigned labels of 64 bits": (tiff(SQUARE.astype(np.uint64) * 200), ""),
    "floats to 1": (tiff(SQUARE.astype(np.float32)), ""),
    "floats to 255": (tiff(WHITE.astype(np.float64)), ""),
    "half floats": (tiff(SQUARE.astype(np.float16)), ""),
    "bool": (tiff(SQUARE), "of which 0 is shown as white"),
    "white is zero, as a fax has it": (tiff(255 - WHITE, photometric="miniswhite"), ""),
    "four bits": (tiff(SQUARE.astype(np.uint8) * 9, bitspersample=4, photometric="minisblack"), ""),
    "planar colour": (
        tiff(np.stack([WHITE, NORMAL, NORMAL]), photometric="rgb", planarconfig="separate"),
        "",
    ),
    "jpeg 95": (file("a.jpg", WHITE, quality=95), "is a lossy file"),
    "jpeg 75": (file("a.jpg", WHITE, quality=75), "is a lossy file"),
    "jpeg 50": (file("a.jpg", WHITE, quality=50), "is a lossy file"),
    "jpeg in a tiff": (tiff(np.dstack([WHITE] * 3), photometric="rgb", compression="jpeg"), "is a lossy file"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_defect_is_marked_and_nothing_else(tmp_path, name):
    write, message = RIGHT[name]
    marked, remark = read_mask_file(write(tmp_path), (96, 96))
    assert marked.dtype == bool
    np.testing.assert_array_equal(marked, SQUARE)
    assert (message in remark) if message else not remark


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("colour", ["white", "red"])
def test_ringing_is_not_marked_whatever_it_was_saved_as_later(tmp_path, quality, suffix, colour):
    pixels = np.dstack([DISC, DISC & (colour == "white"), DISC & (colour == "white")]).astype(np.uint8) * 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    path = tmp_path / f"a{suffix}"
    if suffix == ".jpg":
        path.write_bytes(content.getvalue())
    else:
        saved(path, Image.open(content), **({"quality": quality} if suffix == ".webp" else {}))
    marked, remark = read_mask_file(path, (96, 96))
    assert iou(marked, DISC) > 0.95
    assert "half as bright" in remark


@pytest.mark.parametrize("method", [Image.Resampling.BILINEAR, Image.Resampling.LANCZOS, Image.Resampling.BOX])
@pytest.mark.parametrize("wide", [False, True])
def test_soft_edges_are_halved(tmp_path, method, wide):
    rows, columns = np.mgrid[:384, :384]
    disc = (rows - 177.5) ** 2 + (columns - 137.5) ** 2 <= 82**2
    drawn = Image.fromarray(disc.astype(np.uint8) * 255)
    small = np.array(drawn.resize((96, 96), method))
    pixels = small.astype(np.uint16) * 257 if wide else small
    marked, remark = read_mask_file(saved(tmp_path / "a.png", pixels), (96, 96))
    np.testing.assert_array_equal(marked, small >= 128)
    assert iou(marked, DISC) > 0.95
    assert "soft edges" in remark


def test_a_soft_mask_of_floats(tmp_path):
    soft = np.exp(-((ROWS - 44) ** 2 + (COLUMNS - 34) ** 2) / 200).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", soft)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", (96, 96)), soft >= 0.5)


CLASSES = {
    "1 to 4": [1, 2, 3, 4],
    "with VOC's border of 255": [1, 15, 255],
    "spread over a byte": [60, 120, 180, 240],
    "a class of COCO": [182, 3],
    "254 and 255, as LOCO has them": [254, 255],
    "labels beyond a byte": [1, 300, 4000],
}


@pytest.mark.parametrize("numbers", CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("kind", ["png", "tiff", "floats"])
def test_classes_are_marked_all(tmp_path, numbers, kind):
    plane = np.zeros((96, 96), np.uint16)
    for place, number in enumerate(numbers):
        plane[10 + 20 * place : 22 + 20 * place, 20:40] = number
    pixels = plane.astype(np.uint8) if max(numbers) < 256 else plane
    path = tmp_path / ("a.png" if kind == "png" else "a.tif")
    if kind == "png":
        saved(path, pixels)
    else:
        tifffile.imwrite(path, plane.astype(np.int32 if kind == "tiff" else np.float32))
    np.testing.assert_array_equal(read_mask(path, (96, 96)), plane > 0)


def test_a_thousand_specks_that_are_numbered_are_marked_all(tmp_path):
    plane = np.zeros((96, 96), np.int32)
    plane[::3, ::3] = np.arange(1, 1025).reshape(32, 32)
    tifffile.imwrite(tmp_path / "a.tif", plane)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", (96, 96)), plane > 0)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    numbers=arrays(np.uint8, st.tuples(st.integers(2, 20), st.integers(2, 20)), elements=st.integers(0, 127)),
    white=st.booleans(),
)
def test_class_numbers_and_pure_black_and_white_are_read_as_they_always_were(tmp_path, numbers, white):
    """What is not 0 is marked, in every mask that has normal pixels on half of its border: no older figure moves."""
    numbers[0] = 0
    numbers[:, :1] = numbers[:, -1:] = 0
    pixels = (numbers > 99).astype(np.uint8) * 255 if white else numbers
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", pixels), pixels.shape), pixels > 0)


def test_real_masks_are_read_as_they_always_were(real_data):
    paths = sorted(real_data.glob("*/**/ground_truth/**/*.png"))
    assert len(paths) > 300
    for path in paths[::5]:
        with Image.open(path) as picture:
            plain = np.array(picture) > 0
        marked, remark = read_mask_file(path, plain.shape)
        np.testing.assert_array_equal(marked, plain)
        assert not remark


@pytest.mark.parametrize("pixels", [255 - WHITE, np.dstack([255 - WHITE] * 3), np.where(SQUARE, 0, 1).astype(np.uint8)])
def test_an_inverted_mask_is_refused_unless_somebody_says_so(tmp_path, pixels):
    path = saved(tmp_path / "a.png", pixels)
    with pytest.raises(BadImage, match=r"marks 99% of the image.*inverted.*marks=dark"):
        read_mask(path, (96, 96))
    np.testing.assert_array_equal(read_mask(path, (96, 96), "light"), ~SQUARE)
    if pixels.max() == 255:
        np.testing.assert_array_equal(read_mask(path, (96, 96), "dark"), SQUARE)


def test_dark_marks_a_defect_in_any_colour(tmp_path):
    path = saved(tmp_path / "a.png", painted((255, 0, 0), (255, 255, 255)))
    np.testing.assert_array_equal(read_mask(path, (96, 96), "dark"), SQUARE)
    path = saved(tmp_path / "a.jpg", 255 - WHITE)
    np.testing.assert_array_equal(read_mask(path, (96, 96), "dark"), SQUARE)
    tifffile.imwrite(tmp_path / "a.tif", 1 - SQUARE.astype(np.float32))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", (96, 96), "dark"), SQUARE)


def test_a_large_defect_that_leaves_the_border_is_no_inverted_mask(tmp_path):
    large = np.zeros((96, 96), np.uint8)
    large[5:91, 5:91] = 255
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", large), (96, 96)), large > 0)
    half = np.zeros((96, 96), np.uint8)
    half[:, :47] = 255
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "b.png", half), (96, 96)), half > 0)


EMPTY = {
    "black": file("a.png", NORMAL),
    "black and opaque": file("a.png", np.dstack([NORMAL, NORMAL, NORMAL, NORMAL + 255])),
    "wholly transparent": file("a.png", np.zeros((96, 96, 4), np.uint8)),
    "palette, white": file("a.png", palette([255, 255, 255, 0, 0, 0], np.zeros_like(SQUARE))),
    "bool": tiff(np.zeros_like(SQUARE)),
    "floats": tiff(NORMAL.astype(np.float32)),
    "jpeg": file("a.jpg", NORMAL),
}


@pytest.mark.parametrize("write", EMPTY.values(), ids=EMPTY)
def test_a_mask_may_mark_nothing(tmp_path, write):
    assert read_mask_file(write(tmp_path), (96, 96)) == (pytest.approx(np.zeros((96, 96))), "")


def test_a_mask_that_marks_everything_is_reported(tmp_path):
    marked, remark = read_mask_file(saved(tmp_path / "a.png", NORMAL + 255), (96, 96))
    assert marked.all()
    assert remark == "marks the whole image"


def test_a_photograph_is_no_mask(tmp_path):
    photograph = np.random.default_rng(0).integers(60, 200, (96, 96, 3), dtype=np.uint8)
    with pytest.raises(BadImage, match="photograph and no mask"):
        read_mask(saved(tmp_path / "a.png", photograph), (96, 96))


def test_a_photograph_that_is_cut_out_is_read_by_its_alpha(tmp_path):
    photograph = np.random.default_rng(0).integers(60, 200, (96, 96, 4), dtype=np.uint8)
    photograph[~SQUARE] = 0
    photograph[SQUARE, 3] = 255
    marked, remark = read_mask_file(saved(tmp_path / "a.png", photograph), (96, 96))
    np.testing.assert_array_equal(marked, SQUARE)
    assert "alpha" in remark


def test_a_jpeg_of_class_numbers_is_refused(tmp_path):
    with pytest.raises(BadImage, match="lossy file without white.*save it as PNG"):
        read_mask(saved(tmp_path / "a.jpg", DISC.astype(np.uint8) * 9), (96, 96))


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_numbers_that_mean_nothing_are_refused(tmp_path, wrong):
    pixels = SQUARE.astype(np.float32)
    pixels[3, 3] = wrong
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(BadImage, match="negative or not finite"):
        read_mask(tmp_path / "a.tif", (96, 96))


def test_a_mask_of_half_the_size_is_refused(tmp_path):
    with pytest.raises(BadImage, match=r"the mask has 48x48 pixels, its image has 96x96, .* repair it"):
        read_mask(saved(tmp_path / "a.png", WHITE[::2, ::2]), (96, 96))


def test_cmyk_by_pillow(tmp_path):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.dstack([WHITE] * 3)).convert("CMYK"))
    np.testing.assert_array_equal(read_mask(path, (96, 96)), SQUARE)


def test_nobody_is_reported_to_remove_an_annotation(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    paths = [tmp_path / "a.png", saved(tmp_path / "b.png", 255 - WHITE), saved(tmp_path / "c.png", WHITE[:9])]
    for path in (*paths, saved(tmp_path / "d.jpg", DISC.astype(np.uint8) * 9)):
        with pytest.raises(BadImage) as refused:
            read_mask(path, (96, 96))
        assert "remove" not in str(refused.value).removeprefix(str(tmp_path))
        assert path.name in str(refused.value)
