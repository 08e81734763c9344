"""Tiles cover every image exactly, each gives the patches that lie nearest to its centre, and turns are undone."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import Geometry, Tiling
from adbench.api.geometry import after, inverse, is_invertible, moved

LENGTHS = st.integers(1, 400)


@st.composite
def tilings(draw):
    multiple = draw(st.integers(1, 40))
    height, width = (multiple * draw(st.integers(1, 20)) for _ in range(2))
    overlap = multiple * draw(st.integers(0, min(height, width) // multiple - 1))
    return Tiling((height, width), overlap, multiple)


@settings(deadline=None, max_examples=60)
@given(tilings(), LENGTHS, LENGTHS)
def test_an_image_is_padded_no_more_than_it_must_be(tiling, height, width):
    rows, columns = tiling.padded(height, width)
    for side, padded, tile in ((height, rows, tiling.size[0]), (width, columns, tiling.size[1])):
        assert padded % tiling.multiple == 0
        assert padded >= max(side, tile)
        assert padded - side < tiling.multiple or padded == tile
    assert tiling.padded(rows, columns) == (rows, columns)


@settings(deadline=None, max_examples=60)
@given(tilings(), LENGTHS)
def test_tiles_cover_the_image_and_overlap_enough(tiling, length):
    (length, _), side = tiling.padded(length, 1), tiling.size[0]
    starts = tiling.starts(0, length)
    assert (starts[0], starts[-1] + side) == (0, length)
    assert all(start % tiling.multiple == 0 for start in starts)
    assert all(0 < later - start <= side - tiling.overlap for start, later in pairwise(starts))
    steps = [later - start for start, later in pairwise(starts)]
    assert max(steps, default=0) - min(steps, default=0) <= tiling.multiple


@settings(deadline=None, max_examples=60)
@given(tilings(), LENGTHS, st.data())
def test_each_patch_comes_from_the_tile_whose_centre_is_nearest(tiling, length, data):
    (length, _), side = tiling.padded(length, 1), tiling.size[0]
    cell = data.draw(st.sampled_from([n for n in range(1, tiling.multiple + 1) if tiling.multiple % n == 0]))
    starts, shares = tiling.starts(0, length), tiling.shares(0, length, cell)
    assert len(shares) == len(starts)
    assert [place for part in shares for place in range(part.start, part.stop)] == list(range(length // cell))
    for start, part in zip(starts, shares, strict=True):
        assert start <= part.start * cell < part.stop * cell <= start + side
        for place in {part.start, part.stop - 1}:
            centre = (place + 0.5) * cell
            nearest = min(abs(centre - other - side / 2) for other in starts)
            assert abs(centre - start - side / 2) == pytest.approx(nearest)


def test_an_example():
    tiling = Tiling((256, 256), 64, 32)
    assert tiling.padded(840, 100) == (864, 256)
    assert tiling.starts(0, 864) == [0, 128, 288, 448, 608]
    assert tiling.starts(1, 256) == [0]
    assert tiling.shares(0, 864, 32)[:2] == [slice(0, 6), slice(6, 11)]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, LENGTHS, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 300), st.integers(1, 300))
def test_a_window_maps_back_to_where_it_was_cut(height, width, top, left, rows, columns):
    window = Geometry.whole(height, width).windowed(top, left, rows, columns)
    assert window.to_original(0, 0) == (top, left)
    assert window.to_original(rows, columns) == (top + rows, left + columns)


places = st.floats(-500, 500)
affines = st.builds(
    lambda angle, scale, squeeze, c, f: (
        scale * math.cos(angle),
        scale * math.sin(angle),
        c,
        -scale * squeeze * math.sin(angle),
        scale * squeeze * math.cos(angle),
        f,
    ),
    st.floats(-4, 4),
    st.floats(0.5, 2),
    st.sampled_from([1.0, -1.0, 0.7]),
    places,
    places,
)


def close(point, other):
    assert point == pytest.approx(other, abs=1e-6)


@given(affines, affines, places, places)
def test_maps_add_up_and_are_undone(first, second, y, x):
    close(moved(after(second, first), y, x), moved(second, *moved(first, y, x)))
    close(moved(inverse(first), *moved(first, y, x)), (y, x))
    assert is_invertible(first)


@given(affines, affines, places, places)
def test_steps_before_and_after_a_turn_add_up(first, second, y, x):
    """A point is led back step by step, or all at once by the geometry."""
    crop = Geometry.whole(300, 400).windowed(10, -20, 200, 300)
    both = crop.resized(100, 75).warped(first).windowed(5, 6, 50, 60).warped(second).resized(25, 120)
    last = moved(second, y * 50 / 25, x * 60 / 120)
    turned = moved(first, last[0] + 5, last[1] + 6)
    close(both.to_original(y, x), crop.to_original(turned[0] * 200 / 100, turned[1] * 300 / 75))


def test_an_image_that_was_not_turned_has_no_warp():
    assert Geometry.whole(3, 4).resized(6, 8).windowed(1, 1, 2, 2).warp is None


@pytest.mark.parametrize(
    "broken", [(1, 1, 0, 1, 1, 0), (0, 0, 0, 0, 0, 0), (math.inf, 0, 0, 0, 1, 0), (1, 0, math.nan, 0, 1, 0)]
)
def test_maps_that_cannot_be_undone_are_known(broken):
    assert not is_invertible(broken)
