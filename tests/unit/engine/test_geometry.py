from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from adbench import Geometry
from adbench.builtin.preprocess import CenterCrop, CropToMultiple, Pad, Resize
from adbench.engine.geometry import MapSpec, anomaly_map, anomaly_maps, foreground_on_grid, mask_on_grid

RAW = MapSpec(sigma=0)


def scores(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).random(shape, dtype=np.float32)


def upsampled(values: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    extra = {} if mode == "nearest" else {"align_corners": mode == "bilinear-corners"}
    mode = mode.removesuffix("-corners")
    return functional.interpolate(torch.from_numpy(values)[None, None], size=size, mode=mode, **extra)[0, 0].numpy()


@pytest.mark.parametrize("mode", ["bilinear", "bilinear-corners", "nearest"])
@pytest.mark.parametrize(
    ("patches", "size"), [((28, 28), (224, 224)), ((7, 11), (100, 75)), ((33, 40), (20, 64)), ((1, 9), (40, 1))]
)
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


@pytest.mark.parametrize("at", ["input", "evaluation"])
def test_aligned_corners_are_pytorchs_on_the_part_that_is_shown(at):
    geometry = Geometry.whole(60, 90).windowed(10, 20, 40, 60)
    expected = upsampled(scores(5, 7), (40, 60), "bilinear-corners")
    found = anomaly_map(scores(5, 7), geometry, MapSpec(upsample="bilinear-corners", sigma=0, at=at))
    np.testing.assert_allclose(found[10:50, 20:80], expected, atol=1e-6)


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
    from adbench.engine.geometry import _Axis, _matrix

    axis = _Axis.of(0, (32, 32), Geometry.whole(512, 512), (512, 512))
    assert _matrix(axis, MapSpec()) is _matrix(axis, MapSpec())
    assert not _matrix(axis, MapSpec()).flags.writeable
    np.testing.assert_allclose(_matrix(axis, MapSpec()).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(900, 900), (300, 215), (100, 100)])
def test_masks_are_resized_as_torchvision_does_it(size):
    mask = np.random.default_rng(0).random(size) > 0.5
    expected = functional.interpolate(torch.from_numpy(mask)[None, None].float(), size=(256, 256))[0, 0].numpy() > 0
    np.testing.assert_array_equal(mask_on_grid(mask, (256, 256)), expected)


def test_masks_stay_as_they_are_on_their_own_grid():
    mask = np.eye(9, 12, dtype=bool)
    assert mask_on_grid(mask, None) is mask
    np.testing.assert_array_equal(mask_on_grid(mask, (9, 12)), mask)


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
