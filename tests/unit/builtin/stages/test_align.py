"""The preprocessor 'align': shapes of known pose come to lie in one pose, and round ones and textures stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from adbench import Geometry, UsageError
from adbench.builtin.stages.align import Align
from adbench.engine.evaluate.anomaly_map import anomaly_map, anomaly_maps, foreground_on_grid
from adbench.engine.plan.map_spec import MapSpec
from adbench.testing import parametrize_with_checks

SIZE = (180, 220)
FINE = 4
"""Pixels are drawn from so many squared, so that outlines are soft as a camera's."""

WEDGE = np.array([(-14, -50), (-20, 46), (2, 54), (30, 40), (16, -48)], dtype=float)
"""Corners (y, x) of a shape with one longest axis, a heavier end and a heavier side."""

poses = st.builds(
    dict,
    angle=st.floats(-math.pi, math.pi),
    scale=st.floats(0.75, 1.2),
    y=st.floats(80, 100),
    x=st.floats(95, 125),
)


def placed(points, *, angle=0.0, scale=1.0, y=90.0, x=110.0, mirrored=False):
    """Points (y, x) around the middle of the shape, at its pose in the image."""
    side = -1 if mirrored else 1
    sine, cosine = math.sin(angle), math.cos(angle)
    across, along = side * points[:, 0], points[:, 1]
    return scale * np.stack([across * cosine + along * sine, along * cosine - across * sine], axis=1) + (y, x)


def drawn(points, light=0.8, ground=0.2, size=SIZE):
    """[3, H, W] float32: a polygon on an even ground."""
    height, width = size
    mask = polygon2mask((height * FINE, width * FINE), points * FINE - 0.5)
    shape = mask.reshape(height, FINE, width, FINE).mean((1, 3))
    return torch.from_numpy(ground + (light - ground) * shape).float().expand(3, -1, -1).contiguous()


def turned(points, **options):
    """Where points come to lie that move with a shape."""
    image, geometry = Align(**options).apply(drawn(points), Geometry.whole(*SIZE))
    assert geometry.warp is not None, "the shape was not found"
    ahead = np.linalg.inv(matrix(geometry.warp))
    return image, (np.c_[points, np.ones(len(points))] @ ahead.T)[:, :2]


def matrix(warp):
    return np.array([warp[:3], warp[3:], (0, 0, 1)])


def degrees(points):
    """The angle of the shape's way from its first to its third corner."""
    way = points[2] - points[0]
    return math.degrees(math.atan2(way[0], way[1]))


@pytest.mark.slow
@pytest.mark.proves("dinopatch", "dinopatch-lite")
@settings(max_examples=25, deadline=None)
@given(pose=poses, mirrored=st.booleans())
def test_rotated_scaled_and_mirrored_shapes_come_to_lie_in_one_pose(pose, mirrored):
    usual, expected = turned(placed(WEDGE), mirror=True)
    image, found = turned(placed(WEDGE, mirrored=mirrored, **pose), mirror=True)
    assert np.abs(found.mean(0) - expected.mean(0)).max() < 0.5
    assert abs((degrees(found) - degrees(expected) + 180) % 360 - 180) < 1
    assert np.abs(found - expected).max() < 1.5
    assert (image - usual).abs().mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("angle", [0.0, 0.7, 1.6, 3.0, -2.0])
def test_a_turned_shape_comes_to_lie_as_the_straight_one(angle):
    _, expected = turned(placed(WEDGE))
    _, found = turned(placed(WEDGE, angle=angle, scale=0.9, y=85, x=120))
    assert np.abs(found.mean(0) - expected.mean(0)).max() < 0.5
    assert abs((degrees(found) - degrees(expected) + 180) % 360 - 180) < 1


def test_the_shape_lies_in_the_middle_and_level():
    _, found = turned(placed(WEDGE, angle=2.1, y=70))
    centre = found.mean(0)
    assert np.abs(centre - (90, 110)).max() < 8, "corners need not balance, but nearly"
    assert abs((degrees(found) + 90) % 180 - 90) < 30


def test_a_mirrored_shape_stays_mirrored_unless_asked():
    _, expected = turned(placed(WEDGE))
    _, found = turned(placed(WEDGE, mirrored=True))
    assert np.abs(found - expected).max() > 5


def test_without_a_spread_the_size_stays():
    _, small = turned(placed(WEDGE, scale=0.7), spread=0)
    _, large = turned(placed(WEDGE), spread=0)
    ratio = np.linalg.norm(small[2] - small[0]) / np.linalg.norm(large[2] - large[0])
    assert ratio == pytest.approx(0.7, abs=0.01)


def disk(radius, around=(90, 110)):
    turns = np.linspace(0, 2 * math.pi, 100, endpoint=False)
    return np.stack([radius * np.sin(turns), radius * np.cos(turns)], axis=1) + around


def waves():
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return torch.from_numpy(0.5 + 0.4 * np.sin(y / 3) * np.cos(x / 4)).float().expand(3, -1, -1).contiguous()


STAYS = {
    "round": drawn(disk(50)),
    "tiny": drawn(disk(4)),
    "texture": waves(),
    "gray": torch.full((3, *SIZE), 0.5),
    "noise": torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0)),
    "all but the border": drawn(np.array([(3, 3), (3, 217), (177, 217), (177, 3)], dtype=float)),
    "one pixel": drawn(np.array([(90, 110), (90, 111), (91, 111), (91, 110)], dtype=float)),
    "cut on one side": drawn(np.array([(60, -5), (60, 140), (120, 130), (120, -5)], dtype=float)),
    "cut on three sides": drawn(np.array([(-5, -5), (-5, 140), (185, 140), (185, -5)], dtype=float)),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_has_no_pose_stays_as_it_is(name):
    image, geometry = Align().apply(STAYS[name], Geometry.whole(*SIZE))
    assert image is STAYS[name]
    assert geometry == Geometry.whole(*SIZE)


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (3, 2000), (2000, 3)])
def test_images_that_have_no_room_for_an_object_stay_as_they_are(size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    assert Align().apply(image, Geometry.whole(*size)) == (image, Geometry.whole(*size))


@pytest.mark.parametrize("size", [(401, 3000), (515, 2049)])
def test_long_images_are_shrunk_by_another_factor_along_each_side(size):
    """Their sides at 512 pixels are rounded, so that one factor for both would be wrong by 10 pixels."""
    corners = np.array([(100, 900), (80, 1900), (200, 1950), (280, 1850), (220, 880)], dtype=float)
    rows, columns = np.nonzero(polygon2mask(size, corners - 0.5))
    _, geometry = Align(spread=0).apply(drawn(corners, size=size), Geometry.whole(*size))
    middle = matrix(geometry.warp) @ (size[0] / 2, size[1] / 2, 1)
    assert np.abs(middle[:2] - (rows.mean() + 0.5, columns.mean() + 0.5)).max() < 1


def test_images_of_eight_bits_stay_so():
    image = (drawn(placed(WEDGE, angle=1.0)) * 255).to(torch.uint8)
    found, geometry = Align().apply(image, Geometry.whole(*SIZE))
    assert found.dtype == torch.uint8
    assert geometry.warp is not None
    assert sorted(set(found.unique().tolist()) - set(range(50, 206))) == []


def test_beyond_the_image_is_its_other_side_or_its_edge():
    image = drawn(placed(WEDGE, angle=0.8, y=60, x=60))
    image[:, -20:] = 0.5
    seen = {border: Align(border=border).apply(image, Geometry.whole(*SIZE))[0] for border in ("wrap", "edge")}
    assert not torch.equal(seen["wrap"], seen["edge"])


@pytest.mark.parametrize("evaluation", [None, (90, 110)])
def test_maps_land_on_the_images_own_pixels(evaluation):
    """The turned image's own brightness as scores: its map is the image, wherever the turned image shows it."""
    image = drawn(placed(WEDGE, angle=1.1, scale=0.9))
    prepared, geometry = Align().apply(image, Geometry.whole(*SIZE))
    found = anomaly_map(prepared[0].numpy(), geometry, MapSpec(sigma=0), evaluation)
    expected = image[0].numpy() if evaluation is None else image[0].reshape(90, 2, 110, 2).mean((1, 3)).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 0.01
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_steps_before_and_after_are_undone_too():
    image = drawn(placed(WEDGE, angle=1.1, scale=0.8))
    cropped, geometry = image[:, 10:170, 20:200], Geometry.whole(*SIZE).windowed(10, 20, 160, 180)
    prepared, geometry = Align().apply(cropped, geometry)
    half = torch.nn.functional.avg_pool2d(prepared, 2)[0].numpy()
    found = anomaly_map(half, geometry.resized(80, 90), MapSpec(sigma=0))
    inside = found[20:160, 30:190], image[0].numpy()[20:160, 30:190]
    assert np.corrcoef(*map(np.ravel, inside))[0, 1] > 0.98


def warped_geometry():
    return Geometry.whole(*SIZE).warped((0.8, 0.6, -30.0, -0.6, 0.8, 60.0))


def test_pixels_that_the_turned_image_does_not_show_have_the_lowest_score():
    scores = np.random.default_rng(0).random((9, 11), dtype=np.float32) + 1
    found = anomaly_map(scores, warped_geometry(), MapSpec(sigma=0))
    assert found[-1, 0] == found.min()
    assert (found == found.min()).mean() > 0.05


def test_equal_scores_stay_equal():
    found = anomaly_map(np.full((9, 11), 0.1, np.float32), warped_geometry(), MapSpec(sigma=4))
    assert set(np.unique(found)) == {np.float32(0.1)}


def test_a_device_makes_the_same_maps():
    scores = np.random.default_rng(0).random((2, 9, 11), dtype=np.float32)
    expected = np.stack([anomaly_map(each, warped_geometry()) for each in scores])
    found = anomaly_maps(torch.from_numpy(scores), warped_geometry(), MapSpec())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_a_foreground_is_turned_back():
    image = drawn(placed(WEDGE, angle=1.1))
    prepared, geometry = Align().apply(image, Geometry.whole(*SIZE))
    found = foreground_on_grid((prepared[0] > 0.5).numpy(), geometry)
    assert (found == (image[0] > 0.5).numpy()).mean() > 0.99


def test_options_that_make_no_sense_are_refused():
    for options in ({"sigma": 0}, {"elongation": 0.5}, {"spread": 2}, {"border": "zero"}):
        with pytest.raises(UsageError, match="of preprocessor 'align'"):
            Align(**options)


@pytest.mark.slow
@parametrize_with_checks([Align(), Align(elongation=1.0), Align(elongation=1.0, border="edge", mirror=True)])
def test_conforms(check):
    check()
