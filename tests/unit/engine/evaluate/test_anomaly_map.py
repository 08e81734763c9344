from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter, grey_opening
from torch.nn import functional

from adbench import Geometry
from adbench.builtin.stages.preprocessors import CenterCrop, CropToMultiple, Pad, Resize
from adbench.engine.evaluate.anomaly_map import anomaly_map, anomaly_maps, foreground_on_grid
from adbench.engine.plan.map_spec import MapSpec

RAW = MapSpec(sigma=0)


def scores(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).random(shape, dtype=np.float32)


def upsampled(values: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    kind, _, corners = mode.partition("-")
    extra = {"align_corners": bool(corners)} if kind == "bilinear" else {}
    return functional.interpolate(torch.from_numpy(values)[None, None], size=size, mode=kind, **extra)[0, 0].numpy()


@pytest.mark.parametrize("mode", ["bilinear", "bilinear-corners", "nearest"])
@pytest.mark.parametrize(("patches", "size"), [((28, 28), (224, 224)), ((7, 11), (100, 75)), ((33, 40), (20, 64))])
def test_a_whole_image_is_upsampled_as_pytorch_does_it_and_smoothed_as_scipy_does_it(patches, size, mode):
    values = scores(*patches)
    expected = gaussian_filter(upsampled(values, size, mode).astype(np.float64), 4.0)
    found = anomaly_map(values, Geometry.whole(*size), MapSpec(upsample=mode))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 80), (20, 24)])  # the second is smaller than the kernel's radius times two
def test_reflect_is_pytorchs_border(size):
    values = scores(10, 12)
    sigma, radius = 2.0, 8
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    image = torch.from_numpy(upsampled(values, size, "nearest")).double()[None, None]
    padded = functional.pad(image, [radius] * 4, mode="reflect")
    expected = functional.conv2d(padded, kernel[None, None])[0, 0].numpy()
    found = anomaly_map(values, Geometry.whole(*size), MapSpec(upsample="nearest", sigma=sigma, border="reflect"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bilinear-corners"])
@pytest.mark.parametrize("size", [(70, 50), (5, 6), (1, 40)])
def test_straight_to_the_evaluation_grid_corners_are_aligned_as_pytorch_does_it(size, mode):
    spec = MapSpec(upsample=mode, sigma=0, at="evaluation")
    found = anomaly_map(scores(5, 6), Geometry.whole(140, 100).resized(48, 30), spec, size)
    np.testing.assert_allclose(found, upsampled(scores(5, 6), size, mode), atol=1e-5)


@pytest.mark.parametrize(("side", "sigma"), [(5, 1.0), (33, 4.0)])  # RAD's kernel, and anomalib's
def test_a_kernel_of_a_given_side_is_torchvisions(side, sigma):
    from torchvision.transforms.functional import gaussian_blur

    values = torch.from_numpy(upsampled(scores(10, 12), (64, 80), "bilinear"))
    expected = gaussian_blur(values[None].double(), [side, side], [sigma, sigma])[0].numpy()
    found = anomaly_map(scores(10, 12), Geometry.whole(64, 80), MapSpec(sigma=sigma, kernel=side, border="reflect"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_kernel_of_four_sigmas_is_the_default_one():
    one, other = (anomaly_map(scores(8, 8), Geometry.whole(64, 64), MapSpec(kernel=side)) for side in (None, 33))
    np.testing.assert_array_equal(one, other)


def test_borders_differ():
    geometry = Geometry.whole(64, 64)
    one, other = (anomaly_map(scores(8, 8), geometry, MapSpec(border=border)) for border in ("symmetric", "reflect"))
    assert np.abs(one - other).max() > 1e-3


def test_without_anything_to_do_the_scores_are_the_map():
    values = scores(37, 53)
    np.testing.assert_array_equal(anomaly_map(values, Geometry.whole(37, 53), RAW), values)
    np.testing.assert_array_equal(anomaly_map(values, Geometry.whole(900, 7).resized(37, 53), RAW, (37, 53)), values)


def test_a_squashed_evaluation_grid_equal_to_the_prepared_image_is_not_resampled():
    geometry = Geometry.whole(301, 207).resized(256, 256)
    expected = gaussian_filter(upsampled(scores(32, 32), (256, 256), "bilinear").astype(np.float64), 4.0)
    np.testing.assert_allclose(anomaly_map(scores(32, 32), geometry, None, (256, 256)), expected, atol=1e-5)


def test_smoothing_at_the_evaluation_grid_takes_no_way_through_the_prepared_image():
    geometry = Geometry.whole(300, 200).resized(448, 299)
    expected = gaussian_filter(upsampled(scores(32, 21), (300, 200), "bilinear").astype(np.float64), 4.0)
    found = anomaly_map(scores(32, 21), geometry, MapSpec(at="evaluation"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_nearest_at_the_evaluation_grid_takes_the_patch_that_holds_the_pixel():
    geometry = Geometry.whole(10, 10).resized(8, 8)
    found = anomaly_map(scores(2, 2), geometry, MapSpec(upsample="nearest", sigma=0, at="evaluation"))
    np.testing.assert_array_equal(found, scores(2, 2).repeat(5, axis=0).repeat(5, axis=1))


def by_hand(values: np.ndarray, geometry: Geometry, grid: tuple[int, int]) -> np.ndarray:
    """The map without smoothing, a pixel at a time; NaN where the model saw nothing."""
    prepared = upsampled(values, geometry.size, "bilinear").astype(np.float64)
    y0, x0, y1, x1 = geometry.box
    found = np.full(grid, np.nan)
    for row in range(grid[0]):
        for column in range(grid[1]):
            y = (row + 0.5) * geometry.original[0] / grid[0]
            x = (column + 0.5) * geometry.original[1] / grid[1]
            if y0 <= y <= y1 and x0 <= x <= x1:
                py = np.clip((y - y0) / (y1 - y0) * geometry.size[0] - 0.5, 0, geometry.size[0] - 1)
                px = np.clip((x - x0) / (x1 - x0) * geometry.size[1] - 0.5, 0, geometry.size[1] - 1)
                top, left = int(py), int(px)
                bottom, right = min(top + 1, geometry.size[0] - 1), min(left + 1, geometry.size[1] - 1)
                above = prepared[top, left] * (1 - px + left) + prepared[top, right] * (px - left)
                below = prepared[bottom, left] * (1 - px + left) + prepared[bottom, right] * (px - left)
                found[row, column] = above * (1 - py + top) + below * (py - top)
    return found


CROPPED = Geometry.whole(60, 90).resized(48, 72).windowed(4, 16, 40, 40)
PADDED = Geometry.whole(50, 30).resized(40, 24).windowed(-4, -12, 48, 48)


@pytest.mark.parametrize("geometry", [CROPPED, PADDED, CROPPED.windowed(-8, 3, 56, 30).resized(28, 35)])
@pytest.mark.parametrize("grid", [None, (32, 32)])
def test_crops_and_padding_are_undone(geometry, grid):
    values = scores(5, 6)
    expected = by_hand(values, geometry, grid or geometry.original)
    expected = np.where(np.isnan(expected), np.nanmin(expected), expected)
    np.testing.assert_allclose(anomaly_map(values, geometry, RAW, grid), expected, atol=1e-5)


@pytest.mark.parametrize("geometry", [Geometry.whole(60, 90).resized(48, 72), CROPPED, PADDED])
@pytest.mark.parametrize("grid", [None, (32, 40)])
def test_maps_made_on_a_device_are_the_same(geometry, grid):
    values = scores(3, 5, 6)
    found = anomaly_maps(torch.from_numpy(values), geometry, MapSpec(), grid)
    assert found.dtype == torch.float32
    for one, patches in zip(found, values, strict=True):
        np.testing.assert_allclose(one.numpy(), anomaly_map(patches, geometry, MapSpec(), grid), atol=1e-6)


SHAPED = {"floor": 0.6, "morphology": "open:5"}


@pytest.mark.parametrize("geometry", [Geometry.whole(60, 90).resized(48, 72), CROPPED, PADDED])
def test_what_is_not_linear_comes_after_the_map_and_sees_what_the_model_saw(geometry):
    """With a floor below all scores and a square that covers all, only the part that the model saw is changed."""
    plain = anomaly_map(scores(5, 6), geometry, MapSpec())
    np.testing.assert_array_equal(anomaly_map(scores(5, 6), geometry, MapSpec(floor=-1.0)), plain)
    rows, columns = (slice(5, 55), slice(20, 70)) if geometry == CROPPED else (slice(None), slice(None))
    spread = anomaly_map(scores(5, 6), geometry, MapSpec(morphology="dilate:199"))
    assert (spread == plain[rows, columns].max()).all()
    opened = anomaly_map(scores(5, 6), geometry, MapSpec(**SHAPED))
    expected = np.maximum(grey_opening(plain[rows, columns], size=(5, 5)), np.float32(0.6))
    np.testing.assert_array_equal(opened[rows, columns], expected)


@pytest.mark.parametrize("geometry", [Geometry.whole(60, 90).resized(48, 72), CROPPED, PADDED])
def test_shaped_maps_made_on_a_device_are_the_same(geometry):
    values = scores(3, 5, 6)
    found = anomaly_maps(torch.from_numpy(values), geometry, MapSpec(**SHAPED))
    for one, patches in zip(found, values, strict=True):
        np.testing.assert_allclose(one.numpy(), anomaly_map(patches, geometry, MapSpec(**SHAPED)), atol=1e-6)


def test_options_that_are_not_set_are_no_part_of_the_identity():
    old = {"upsample": "bilinear", "sigma": 4.0, "at": "input", "border": "symmetric"}
    assert MapSpec().identity() == old
    assert MapSpec(floor=0.0).identity() == {**old, "floor": 0.0}
    for spec in (MapSpec(), MapSpec(kernel=5, **SHAPED)):
        assert MapSpec.model_validate(spec.identity()) == spec


@pytest.mark.parametrize(
    "wrong", [{"morphology": "open:4"}, {"kernel": 4}, {"kernel": 5, "sigma": 0}, {"floor": float("nan")}]
)
def test_options_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        MapSpec(**wrong)


@pytest.mark.parametrize("spec", [MapSpec(), MapSpec(at="evaluation"), MapSpec(upsample="nearest", border="reflect")])
def test_what_a_crop_removed_gets_the_lowest_score(spec):
    found = anomaly_map(scores(5, 5) + 3, CROPPED, spec)
    outside = np.ones(found.shape, bool)
    outside[5:55, 20:70] = False
    assert (found[outside] == found[~outside].min()).all()
    assert found[~outside].max() > found[~outside].min()


def test_a_box_between_two_pixels_is_no_reason_to_fail():
    geometry = Geometry.whole(4, 4).windowed(0, 0, 4, 4).resized(400, 400).windowed(110, 110, 20, 20)
    assert np.isfinite(anomaly_map(scores(2, 2), geometry)).all()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), height=st.integers(40, 90), width=st.integers(40, 90))
def test_a_dot_is_found_where_it_was(data, height, width):
    """Through any chain of steps, a bright dot comes back to within a pixel of the coarser of the two grids."""
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    image = torch.zeros(3, height, width)
    image[:, y, x] = 1
    geometry = Geometry.whole(height, width)
    steps = data.draw(
        st.lists(
            st.sampled_from(
                [
                    Resize(size=48),
                    Resize(size=(70, 50)),
                    CenterCrop(size=36),
                    Pad(multiple=16),
                    Pad(size=(64, 80), place="corner"),
                    CropToMultiple(of=7),
                ]
            ),
            max_size=4,
        )
    )
    for step in steps:
        assume(not isinstance(step, CenterCrop) or min(geometry.size) >= 36)  # a smaller image is refused
        image, geometry = step.apply(image, geometry)
    assume(float(image[0].max()) >= 0.05)  # not cropped away, nor spread over too many pixels
    assert tuple(image.shape[1:]) == geometry.size
    row, column = divmod(int(image[0].argmax()), image.shape[2])
    there = geometry.to_original(row + 0.5, column + 0.5)
    found = np.unravel_index(anomaly_map(image[0].numpy(), geometry, RAW).argmax(), (height, width))
    for axis, true in enumerate((y, x)):
        pixel = max(1.0, (geometry.box[axis + 2] - geometry.box[axis]) / geometry.size[axis])
        slack = pixel * (1 + len(steps) / 2)  # each resize may move the brightest pixel by half of one
        assert abs(there[axis] - (true + 0.5)) <= slack
        assert abs(found[axis] - true) <= slack + 1


def test_matrices_are_shared_and_cannot_be_changed():
    from adbench.engine.evaluate.anomaly_map import _Axis, _matrix

    axis = _Axis.of(0, (32, 32), Geometry.whole(512, 512), (512, 512))
    assert _matrix(axis, MapSpec()) is _matrix(axis, MapSpec())
    assert not _matrix(axis, MapSpec()).flags.writeable
    np.testing.assert_allclose(_matrix(axis, MapSpec()).sum(axis=1), 1, atol=1e-6)


def test_the_foreground_lies_where_its_patches_are():
    """A 4 x 4 crop of a 6 x 8 image, in 2 x 2 patches; what the crop removed is no part of it."""
    geometry = Geometry.whole(6, 8).windowed(1, 2, 4, 4)
    found = foreground_on_grid(np.array([[1.0, 0.0], [1.0, 1.0]], np.float32), geometry)
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:5, 2:4] = expected[3:5, 4:6] = True
    assert np.array_equal(found, expected)


def test_the_foreground_of_a_padded_image_is_cut_to_the_image():
    geometry = Geometry.whole(4, 4).windowed(-2, 0, 8, 4)
    found = foreground_on_grid(np.array([[1.0], [0.0], [1.0], [0.0]], np.float32), geometry)
    assert found.tolist() == [[False] * 4] * 2 + [[True] * 4] * 2


WAYS = {
    "whole": (Geometry.whole(60, 90).resized(48, 72), None),
    "cropped": (CROPPED, None),
    "padded": (PADDED, (32, 40)),
    "squashed": (Geometry.whole(1024, 900).resized(256, 256), (256, 256)),
    "enlarged": (Geometry.whole(300, 300).resized(224, 224), None),
}
SPECS = st.builds(
    lambda upsample, smooth, **rest: MapSpec(upsample=upsample, sigma=smooth[0], kernel=smooth[1], **rest),
    upsample=st.sampled_from(["bilinear", "bilinear-corners", "nearest"]),
    smooth=st.sampled_from([(0, None), (4.0, None), (1.0, 5), (7.3, None), (2.5, 33), (40.0, None)]),
    at=st.sampled_from(["input", "evaluation"]),
    border=st.sampled_from(["symmetric", "reflect"]),
    morphology=st.sampled_from([None, "open:3", "close:5", "dilate:7", "erode:3"]),
)
CONSTANTS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def both(values: np.ndarray, way: str, spec: MapSpec) -> list[np.ndarray]:
    """The map by NumPy, and as a device makes it."""
    geometry, grid = WAYS[way]
    of_device = anomaly_maps(torch.from_numpy(values)[None], geometry, spec, grid)[0].numpy()
    return [anomaly_map(values, geometry, spec, grid), of_device]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), spec=SPECS, constant=CONSTANTS)
def test_a_constant_map_stays_constant(way, spec, constant):
    for found in both(np.full((7, 9), constant, np.float32), way, spec):
        assert (found == np.float32(constant)).all()


@settings(max_examples=100, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), spec=SPECS, values=st.lists(CONSTANTS, min_size=9, max_size=9))
def test_what_differs_along_one_axis_only_does_so_in_the_map(way, spec, values):
    across = np.tile(np.array(values, np.float32), (7, 1))
    for found in both(across, way, spec):
        shown = found[5:55] if way == "cropped" else found
        assert (shown == shown[0]).all()
    for found in both(np.ascontiguousarray(across.T), way, spec):
        shown = found[:, 20:70] if way == "cropped" else found
        assert (shown[:, 0] == shown.T).all()


def test_half_a_constant_map_is_a_plateau_beside_scores_that_differ():
    values = scores(32, 32)
    values[:, :16] = np.float32(0.3)
    found = anomaly_map(values, Geometry.whole(512, 512).resized(256, 256), MapSpec())
    assert (found[:, : 256 - 32 - 16] == np.float32(0.3)).all()  # but for the reach of the kernel and a patch
    assert len(np.unique(found[:, 260:])) > 100_000


@settings(max_examples=60, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), spec=SPECS, seed=st.integers(0, 1000))
def test_care_for_plateaus_changes_nothing_but_the_rounding(way, spec, seed):
    """Two equal patches send a map the exact way; it comes out as the quick way makes it."""
    values = np.random.default_rng(seed).random((7, 9), dtype=np.float32)
    quick, _ = both(values, way, spec)
    values[3, 4] = values[3, 5] + np.float32(2**-24)
    nearly, _ = both(values, way, spec)
    values[3, 4] = values[3, 5]
    exactly, on_device = both(values, way, spec)
    np.testing.assert_allclose(exactly, nearly, atol=1e-6)
    np.testing.assert_allclose(exactly, on_device, atol=2e-7)
    assert quick.shape == exactly.shape


@pytest.mark.parametrize("scale", [1e-41, 1e-38, 1.0, 2e38])
def test_maps_near_the_limits_of_float32_keep_their_order(scale):
    values = (scores(6, 6) * np.float64(scale)).astype(np.float32)
    found = anomaly_map(values, Geometry.whole(96, 96), MapSpec())
    assert np.isfinite(found).all()
    expected = anomaly_map(scores(6, 6), Geometry.whole(96, 96), MapSpec())
    assert np.corrcoef((found / np.float64(scale)).ravel(), expected.ravel())[0, 1] > 0.99
