from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from adbench.engine.evaluate.grid_masks import mask_on_grid

EIGHT = np.ones((3, 3))


def nearest(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    return functional.interpolate(torch.from_numpy(mask)[None, None].float(), size=grid)[0, 0].numpy() > 0


@pytest.mark.parametrize("size", [(900, 900), (300, 215), (100, 100)])
def test_masks_are_resized_as_torchvision_does_it(size):
    blobs = np.random.default_rng(0).random((size[0] // 5, size[1] // 5)) > 0.5
    mask = np.kron(blobs, np.ones((5, 5))) > 0
    assert mask.shape == size
    found, vanished = mask_on_grid(mask, (256, 256))
    np.testing.assert_array_equal(found, nearest(mask, (256, 256)))
    assert vanished == 0


def test_masks_stay_as_they_are_on_their_own_grid():
    mask = np.eye(9, 12, dtype=bool)
    assert mask_on_grid(mask, None) == (mask, 0)
    assert mask_on_grid(mask, (9, 12)) == (mask, 0)


def test_a_defect_between_the_nearest_pixels_is_kept_where_it_lies():
    mask = np.zeros((1024, 1024), bool)
    mask[401:404, 801:804] = True
    mask[500:600, 100:200] = True
    assert not nearest(mask, (256, 256))[100:101, 200:201].any()
    found, vanished = mask_on_grid(mask, (256, 256))
    assert vanished == 1
    expected = nearest(mask, (256, 256))
    expected[100, 200] = True
    np.testing.assert_array_equal(found, expected)


def test_a_scratch_of_one_pixel_stays_a_scratch():
    mask = np.zeros((1024, 1024), bool)
    mask[402, 10:1000] = True
    found, vanished = mask_on_grid(mask, (256, 256))
    assert vanished == 1
    assert found[100].sum() == found.sum() == 248


def test_a_grid_that_is_coarser_in_one_direction_only():
    mask = np.zeros((100, 10), bool)
    mask[51:53, 3] = True
    found, vanished = mask_on_grid(mask, (20, 30))
    assert vanished == 1
    assert found[10, 9:12].all()
    assert found.sum() == 3


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    grid=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.sampled_from([0.0, 0.002, 0.02, 0.3, 1.0]),
)
def test_every_region_shows_on_every_grid_and_nothing_else_does(seed, height, width, grid, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    found, vanished = mask_on_grid(mask, grid)
    near = nearest(mask, grid)
    assert found.shape == grid
    assert found.dtype == bool
    assert (found >= near).all()
    if not vanished:
        np.testing.assert_array_equal(found, near)
    regions, count = ndimage.label(mask, structure=EIGHT)
    assert vanished <= count
    for region in range(1, count + 1):
        rows, columns = np.nonzero(regions == region)
        top, bottom = rows.min() * grid[0] // height, -(-(rows.max() + 1) * grid[0] // height)
        left, right = columns.min() * grid[1] // width, -(-(columns.max() + 1) * grid[1] // width)
        assert found[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1].any()
    assert found.any() == mask.any()
