"""Ignored pixels: blanked in the image, found again in the prepared image, in its views and on its patch grid."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import DataError, Features, Geometry
from adbench.builtin.stages.augmenters import Rotate
from adbench.engine.features.ignoring import blanked, ignored_patches, in_view, on_grid, on_prepared, with_ignored


def mask(height, width, seed=0):
    return torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) < 0.4


def test_ignored_pixels_are_gray_and_the_others_as_they_were():
    ignored, image = mask(5, 7), torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    for given_image, gray in ((image, 127), (image.float() / 255, 127 / 255)):
        found = blanked(given_image, ignored)
        assert torch.equal(found[:, ~ignored], given_image[:, ~ignored])
        assert (found[:, ignored] == torch.tensor(gray, dtype=given_image.dtype)).all()
    assert blanked(image, None) is image
    with pytest.raises(DataError, match="the two have to agree"):
        blanked(image, ignored[:2])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3))
def test_a_window_and_a_whole_enlargement_map_every_pixel(height, width, top, left, times):
    ignored = mask(height, width)
    window = Geometry.whole(height, width).windowed(top, left, 20, 25).resized(20 * times, 25 * times)
    found = on_prepared(ignored, window)
    for y in range(0, 20 * times, 5):
        for x in range(0, 25 * times, 5):
            row, column = top + y // times, left + x // times
            inside = 0 <= row < height and 0 <= column < width
            assert bool(found[y, x]) is (inside and bool(ignored[row, column]))


@settings(deadline=None, max_examples=20)
@given(st.floats(-180, 180), st.floats(0.5, 2))
def test_a_turned_image_has_the_pixels_that_its_geometry_says(angle, scale):
    cos, sin = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    place = Geometry.whole(12, 15).warped((cos, -sin, 3.0, sin, cos, -2.0)).resized(9, 10)
    ignored = mask(12, 15)
    found = on_prepared(ignored, place)
    for y in range(9):
        for x in range(10):
            row, column = (math.floor(one) for one in place.to_original(y + 0.5, x + 0.5))
            inside = 0 <= row < 12 and 0 <= column < 15
            assert bool(found[y, x]) is (inside and bool(ignored[row, column]))


def test_a_patch_is_ignored_from_half_of_its_pixels_on():
    prepared = torch.zeros(8, 8, dtype=torch.bool)
    prepared[:4, :2] = True  # half of the first patch
    prepared[4:, :1] = True  # a quarter of the one below
    assert on_grid(prepared, (2, 2)).tolist() == [[True, False], [False, False]]


def test_a_view_moves_ignored_pixels_with_the_image():
    ignored = torch.zeros(21, 21, dtype=torch.bool)
    ignored[2:5, 9:12] = True
    rotate = Rotate(angles=(180,))
    found = in_view(ignored, lambda image: rotate.view(image, 0))
    image = (ignored.to(torch.uint8) * 255).expand(3, -1, -1)
    assert torch.equal(found, rotate.view(image, 0)[0] > 127)
    assert found[15:20].any()
    assert not found[:10].any()
    assert in_view(ignored, None) is ignored


def test_features_get_the_masks_of_their_images():
    places = (Geometry.whole(4, 6), Geometry.whole(4, 6))
    features = Features(("a", "b"), places, patches=torch.zeros(2, 2, 3, 1))
    assert with_ignored(features, [lambda: None, lambda: None], None) is features
    ignored = torch.zeros(4, 6, dtype=torch.bool)
    ignored[:2] = True
    found = with_ignored(features, [lambda: None, lambda: ignored], None)
    assert ignored_patches(found, (2, 3)).tolist() == [[[False] * 3, [False] * 3], [[True] * 3, [False] * 3]]
    assert ignored_patches(features, (2, 3)) is None
    assert ignored_patches(found, None) is None


def test_an_image_of_which_no_patch_is_left_is_refused():
    place = Geometry.whole(4, 4)
    ignored = torch.ones(4, 4, dtype=torch.bool)
    ignored[0, 0] = False
    with pytest.raises(DataError, match="a: all of its patches are ignored; let the ignore mask leave more"):
        ignored_patches(Features(("a",), (place,), ignored=(ignored,)), (2, 2))
