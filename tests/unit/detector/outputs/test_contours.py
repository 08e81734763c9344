"""Contours: polygons that cover what is marked, whatever its form."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon

from adbench.detector.outputs.contours import coco_annotation, labelme_of, regions_of, simplified


def filled(polygon, shape):
    """The pixels whose centres lie in a polygon."""
    return polygon2mask(shape, polygon[:, ::-1] - 0.5)


def test_a_rectangle_is_its_box():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    scores = np.where(mask, 2.0, 1.0).astype(np.float32)
    [region] = regions_of(mask, scores)
    assert region.box == (30, 10, 20, 10)
    assert region.area == 200
    assert region.score == 2
    left, top = region.polygon.min(0)
    right, bottom = region.polygon.max(0)
    assert (left, top, right, bottom) == (30, 10, 50, 20)


def test_regions_come_with_the_highest_score_first_and_touch_by_corners():
    mask, scores = np.zeros((20, 20), bool), np.zeros((20, 20), np.float32)
    mask[1, 1] = mask[2, 2] = mask[10:14, 10:14] = True
    scores[2, 2], scores[10:14, 10:14] = 1, 3
    assert [(one.area, one.score) for one in regions_of(mask, scores)] == [(16, 3), (2, 1)]


def test_nothing_marked_is_no_region():
    assert regions_of(np.zeros((5, 5), bool), np.zeros((5, 5), np.float32)) == []


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_every_marked_pixel_is_in_a_region_and_in_its_box(mask):
    found = regions_of(mask, np.ones(mask.shape, np.float32))
    assert sum(region.area for region in found) == mask.sum()
    boxes = np.zeros(mask.shape, bool)
    for region in found:
        x, y, width, height = region.box
        boxes[y : y + height, x : x + width] = True
        assert (region.polygon >= [x - 0.01, y - 0.01]).all()
        assert (region.polygon <= [x + width + 0.01, y + height + 0.01]).all()
    assert not (mask & ~boxes).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 20), st.integers(0, 20))
def test_a_polygon_covers_an_ellipse_to_the_pixel(height, width, top, left):
    rows, columns = np.ogrid[:48, :48]
    mask = ((rows - top - height) / height) ** 2 + ((columns - left - width) / width) ** 2 <= 1
    [region] = regions_of(mask, np.ones(mask.shape, np.float32))
    different = filled(region.polygon, mask.shape) ^ mask
    assert different.sum() <= 0.1 * mask.sum() + 4


def test_both_forms_say_the_same():
    mask = np.zeros((30, 30), bool)
    mask[5:9, 7:20] = True
    regions = regions_of(mask, mask.astype(np.float32))
    shapes = labelme_of("../one.png", (30, 30), regions)["shapes"]
    annotation = coco_annotation(regions[0], 1, 1)
    assert [value for point in shapes[0]["points"] for value in point] == annotation["segmentation"][0]
    assert annotation["bbox"] == [7, 5, 13, 4]
    assert annotation["area"] == 52


CHAINS = arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.floats(-20, 20))


def beside(points, chain):
    """The distance of each point from the nearest segment of a chain."""
    ways = np.diff(chain, axis=0)
    there = points[:, None] - chain[:-1]
    shares = np.clip((there * ways).sum(-1) / np.maximum((ways**2).sum(-1), 1e-300), 0, 1)
    return np.linalg.norm(there - shares[..., None] * ways, axis=-1).min(1)


@given(CHAINS, st.floats(0.01, 10))
def test_a_simpler_chain_stays_near_the_points_that_it_leaves_out(chain, tolerance):
    simple = simplified(chain, tolerance)
    assert (simple[[0, -1]] == chain[[0, -1]]).all()
    assert {*map(tuple, simple)} <= {*map(tuple, chain)}
    assert (beside(chain, simple) <= tolerance + 1e-9).all()


@given(st.integers(0, 1000), st.integers(2, 40), st.floats(0.01, 10))
def test_it_is_the_chain_of_scikit_image(seed, count, tolerance):
    chain = np.random.default_rng(seed).normal(0, 5, (count, 2))
    assert (simplified(chain, tolerance) == approximate_polygon(chain, tolerance)).all()
