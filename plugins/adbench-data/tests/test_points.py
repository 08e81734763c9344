"""Images of organised points."""

from __future__ import annotations

import numpy as np
import pytest
from adbench_data.points import depth_image, missing, normals_image, without_normal
from hypothesis import given
from hypothesis import strategies as st


def plane(slope=(0.0, 0.0), size=(20, 30), step=0.01):
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32) * np.float32(step)
    return np.dstack([columns, rows, 0.5 + slope[0] * rows + slope[1] * columns]).astype(np.float32)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_plane_has_one_normal_and_it_looks_at_the_scanner(down, right):
    shown = normals_image(plane((down, right))) * 2 - 1
    expected = np.array([right, down, -1]) / np.sqrt(right**2 + down**2 + 1)
    np.testing.assert_allclose(shown, np.broadcast_to(expected, shown.shape), atol=2e-3)


def test_pixels_without_a_point_and_their_neighbours_have_no_normal():
    points = plane()
    points[5, 7] = 0
    marked = without_normal(points)
    assert sorted(map(tuple, np.argwhere(marked).tolist())) == [(4, 7), (5, 6), (5, 7), (5, 8), (6, 7)]
    assert missing(points).sum() == 1
    shown = normals_image(points)
    assert (shown[marked] == 0).all()
    np.testing.assert_allclose(shown[~marked], np.broadcast_to([0.5, 0.5, 0], shown[~marked].shape), atol=2e-3)


@given(st.floats(0.2, 3), st.floats(-1, 1))
def test_depth_does_not_depend_on_distance_or_scale(scale, away):
    points = plane((0.7, 0.2))
    points[3, 3] = 0
    other = points.copy()
    other[:, :, 2] = points[:, :, 2] * np.float32(scale) + np.float32(away + 2)
    other[3, 3] = 0
    np.testing.assert_allclose(depth_image(points), depth_image(other), atol=2e-3)


def test_near_is_light_and_wild_points_do_not_decide_the_contrast():
    points = plane((1.0, 0.0), (100, 100))
    shown = depth_image(points)
    assert shown[0, 0, 0] == 1
    assert shown[-1, 0, 0] == 0
    points[50, 50, 2] = 1000
    np.testing.assert_allclose(np.delete(depth_image(points), 50, 0), np.delete(shown, 50, 0), atol=0.02)
    assert (depth_image(np.zeros((4, 4, 3), np.float32)) == 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_small_images(size):
    assert normals_image(plane(size=size)).shape == (*size, 3)
    assert depth_image(plane(size=size)).shape == (*size, 3)
