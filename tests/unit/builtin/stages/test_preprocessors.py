from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.transforms.functional import resize

from adbench import DataError, Geometry, UsageError
from adbench.builtin.stages.preprocessors import CenterCrop, CropToMultiple, Pad, Resize, ResizeArea


def image(height: int, width: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    pixels = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return pixels if dtype == torch.uint8 else pixels.float() / 255


def apply(step, pixels):
    before = pixels.clone()
    prepared, geometry = step.apply(pixels, Geometry.whole(*pixels.shape[1:]))
    assert torch.equal(before, pixels)
    assert tuple(prepared.shape[1:]) == geometry.size
    assert prepared.dtype == pixels.dtype
    return prepared, geometry


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        (256, (512, 512), (256, 256)),
        (256, (300, 200), (384, 256)),
        (256, (200, 300), (256, 384)),
        (100, (333, 1000), (100, 300)),
        ((30, 40), (100, 100), (30, 40)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_resize_sizes(size, shape, expected, dtype):
    prepared, geometry = apply(Resize(size=size), image(*shape, dtype))
    assert tuple(prepared.shape) == (3, *expected)
    assert geometry.box == (0, 0, *shape)


def test_a_line_of_pixels_is_not_enlarged_beyond_all_memory():
    with pytest.raises(DataError, match="an image of 4x5120 pixels would become 163840 pixels long.*give resize both"):
        Resize(size=128).apply(torch.zeros(3, 4, 5120, dtype=torch.uint8), Geometry.whole(4, 5120))
    assert Resize(size=[8, 8]).target(4, 5120) == (8, 8)
    assert Resize(size=128).target(128, 20000) == (128, 20000)
    assert Resize(size=128).target(256, 40000) == (128, 20000)


def test_resize_rounds_as_torchvision_does():
    transforms = pytest.importorskip("torchvision.transforms.v2.functional")
    for height in range(90, 120, 7):
        prepared, _ = apply(Resize(size=64), image(height, 101))
        assert prepared.shape == transforms.resize(image(height, 101), [64]).shape


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize_is_pytorchs(interpolation, antialias):
    pixels = image(60, 50, torch.float32)
    expected = functional.interpolate(pixels[None], size=(20, 30), mode=interpolation, antialias=antialias)[0]
    prepared, _ = apply(Resize(size=(20, 30), interpolation=interpolation, antialias=antialias), pixels)
    torch.testing.assert_close(prepared, expected.clamp(0, 1))


def test_bicubic_does_not_leave_the_range():
    checker = torch.zeros(3, 8, 8)
    checker[:, ::2] = 1
    prepared, _ = apply(Resize(size=19, interpolation="bicubic"), checker)
    assert prepared.min() >= 0
    assert prepared.max() <= 1


def test_nearest_makes_no_new_colours():
    pixels = (image(30, 30) > 128).to(torch.uint8) * 255
    prepared, _ = apply(Resize(size=17, interpolation="nearest"), pixels)
    assert set(prepared.unique().tolist()) == {0, 255}


def test_uint8_and_float_agree():
    whole, _ = apply(Resize(size=40), image(90, 70))
    exact, _ = apply(Resize(size=40), image(90, 70, torch.float32))
    assert (whole.float() / 255 - exact).abs().max() < 1.6 / 255


def test_center_crop():
    pixels = image(11, 20)
    prepared, geometry = apply(CenterCrop(size=(5, 8)), pixels)
    assert torch.equal(prepared, pixels[:, 3:8, 6:14])
    assert geometry.box == (3, 6, 8, 14)


def test_center_crop_is_torchvisions():
    transforms = pytest.importorskip("torchvision.transforms.v2.functional")
    for height, width in [(11, 20), (12, 21), (13, 22), (14, 23)]:
        prepared, _ = apply(CenterCrop(size=9), image(height, width))
        assert torch.equal(prepared, transforms.center_crop(image(height, width), [9, 9]))


def test_a_crop_larger_than_the_image_says_what_to_do():
    with pytest.raises(DataError, match=r"10x20 pixels is smaller than the crop of 16x16; put 'resize' before it"):
        apply(CenterCrop(size=16), image(10, 20))


def test_crop_to_multiple_cuts_below_and_right():
    pixels = image(31, 45)
    prepared, geometry = apply(CropToMultiple(of=14), pixels)
    assert torch.equal(prepared, pixels[:, :28, :42])
    assert geometry.box == (0, 0, 28, 42)
    with pytest.raises(DataError, match="smaller than 64"):
        apply(CropToMultiple(of=64), image(31, 70))


@pytest.mark.parametrize(("place", "top", "left"), [("center", 2, 5), ("corner", 0, 0)])
def test_pad(place, top, left):
    pixels = image(11, 20)
    prepared, geometry = apply(Pad(size=(16, 30), fill=0.5, place=place), pixels)
    assert torch.equal(prepared[:, top : top + 11, left : left + 20], pixels)
    assert int((prepared == 128).sum()) >= 3 * (16 * 30 - 11 * 20)
    assert geometry.box == (-top, -left, 16 - top, 30 - left)


def test_pad_goes_up_to_a_multiple_and_never_cuts():
    assert apply(Pad(size=10, multiple=16), image(33, 9))[0].shape == (3, 48, 16)
    assert apply(Pad(), image(33, 9))[0].shape == (3, 33, 9)


def test_pad_fills_floats_too():
    prepared, _ = apply(Pad(size=12, fill=0.25), torch.zeros(3, 10, 10))
    assert prepared[:, 0].unique().item() == 0.25


@pytest.mark.parametrize("options", [{"size": 0}, {"size": (3, -1)}, {"interpolation": "lanczos"}, {"sise": 3}])
def test_options_that_cannot_be_meant(options):
    with pytest.raises(UsageError):
        Resize(**options)


def test_without_rounding_a_resize_is_torchvisions_on_floats():
    image = torch.randint(0, 256, (3, 50, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    resized, _ = Resize(size=(32, 32), precision="float").apply(image, Geometry.whole(50, 70))
    expected = resize(image.float().div(255), [32, 32], antialias=True)
    torch.testing.assert_close(resized, expected)
    rounded, _ = Resize(size=(32, 32)).apply(image, Geometry.whole(50, 70))
    assert rounded.dtype == torch.uint8
    assert (rounded.float().div(255) - resized).abs().max() <= 1.01 / 255


@pytest.mark.proves("adbench-lite")
@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        (256, (256, 256), (256, 256)),
        (256, (100, 100), (256, 256)),
        (256, (500, 1250), (162, 405)),
        (256, (1250, 500), (405, 162)),
        (64, (1, 4), (32, 128)),
        (64, (1, 4000), (32, 128)),
        (64, (4000, 1), (128, 32)),
    ],
)
def test_resize_area_keeps_the_aspect_and_the_number_of_pixels(size, shape, expected):
    prepared, geometry = apply(ResizeArea(size=size, precision="float"), image(*shape, torch.float32))
    assert tuple(prepared.shape) == (3, *expected)
    assert geometry.box == (0, 0, *shape)


def test_resize_area_resamples_as_resize():
    pixels = image(50, 125)
    prepared, _ = apply(ResizeArea(size=64), pixels)
    expected, _ = apply(Resize(size=tuple(prepared.shape[1:])), pixels)
    assert torch.equal(prepared, expected)


def test_resize_area_refuses_a_square_below_its_least_side():
    with pytest.raises(UsageError, match="size"):
        ResizeArea(size=31)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((512, 512), (256, 256)), ((500, 1250), (160, 416)), ((300, 200), (320, 192)), ((10, 4000), (32, 2048))],
)
def test_resize_area_rounds_sides_to_multiples(shape, expected):
    assert ResizeArea(size=256, multiple=32).target(*shape) == expected


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 512), st.integers(1, 64))
def test_rounded_sides_stay_near_those_asked_for(height, width, size, multiple):
    rows, columns = ResizeArea(size=size, multiple=multiple).target(height, width)
    assert rows % multiple == columns % multiple == 0
    assert min(rows, columns) >= 32
    plain, _ = ResizeArea(size=size).target(height, width)
    assert abs(rows - plain) < max(multiple, 32)
    assert abs(columns - size**2 / rows) < max(multiple, 32) + multiple


def test_an_identity_from_before_the_rounding_stays():
    assert "multiple" not in ResizeArea().identity()
    assert ResizeArea(multiple=32).identity()["multiple"] == 32
