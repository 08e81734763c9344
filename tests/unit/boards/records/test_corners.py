"""Curves with fewer corners: what is left out shows nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adbench.boards.records.corners import thinned

STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)


def distance(point, line):
    """From a point to the nearest place of a line of several corners."""
    ends = np.array(line, float)
    best = np.inf
    for start, end in pairwise(ends):
        way = end - start
        along = np.clip((point - start) @ way / max(way @ way, 1e-12), 0, 1)
        best = min(best, float(np.linalg.norm(start + along * way - point)))
    return best


@given(STEPS)
def test_what_is_left_out_lies_within_a_thousandth_of_what_stays(steps):
    corners = list(dict.fromkeys([(0, 0), *map(tuple, np.cumsum(steps, axis=0).tolist())]))
    kept = thinned(corners, 1)
    assert (kept[0], kept[-1]) == (corners[0], corners[-1])
    assert kept == [corner for corner in corners if corner in set(kept)]
    if len(kept) > 1:
        assert all(distance(np.array(corner, float), kept) <= 1 + 1e-9 for corner in corners)


def test_straight_parts_keep_their_ends_alone():
    assert thinned([(0, 0), (1, 1), (2, 2), (2, 10), (2, 20), (30, 20)], 1) == [(0, 0), (2, 2), (2, 20), (30, 20)]
    assert thinned([(0, 0)], 1) == [(0, 0)]
    assert thinned([], 1) == []
