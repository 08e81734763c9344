from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.engine.evaluate.plateaus import bands_of, exact_product, exact_weights, needs_care


def weights(count: int, cells: int, reach: int, seed: int = 0) -> np.ndarray:
    """[count, cells] rows that add up to 1, each not 0 around its place only."""
    rng, places = np.random.default_rng(seed), np.arange(count) * cells // count
    near = np.abs(np.arange(cells) - places[:, None]) <= reach
    matrix = rng.random((count, cells)) * near
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("count", "cells", "reach"), [(1, 1, 0), (7, 7, 0), (100, 9, 2), (200, 300, 20)])
def test_weights_add_up_to_one_exactly(count, cells, reach):
    matrix = weights(count, cells, reach)
    exact = exact_weights(matrix)
    assert (exact.sum(axis=1) == 1).all()
    assert (exact >= 0).all()
    assert (exact[matrix == 0] == 0).all()
    np.testing.assert_allclose(exact, matrix, atol=2**-28)


def test_bands_leave_nothing_out():
    matrix = exact_weights(weights(200, 300, 20))
    bands = bands_of(matrix)
    assert len(bands) == 4
    whole = np.zeros_like(matrix)
    for band in bands:
        whole[band.pixels, band.patches] = band.weights
    np.testing.assert_array_equal(whole, matrix)
    assert max(band.weights.shape[1] for band in bands) < 150


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), constant=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_product_is_what_it_should_be_and_leaves_a_constant(seed, constant):
    rows, columns = (exact_weights(weights(count, cells, 2, seed)) for count, cells in ((150, 12), (90, 31)))
    scores = np.random.default_rng(seed).random((12, 31), dtype=np.float32)
    found = exact_product(bands_of(rows), scores, bands_of(columns))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows @ scores @ columns.T, rtol=2e-7)
    flat = exact_product(bands_of(rows), np.full((12, 31), constant, np.float32), bands_of(columns))
    assert (flat == np.float32(constant)).all()


def test_care_is_taken_where_neighbours_are_equal_or_numbers_near_the_limits():
    scores = np.random.default_rng(0).random((8, 9), dtype=np.float32)
    assert not needs_care(scores)
    for place, neighbour in (((3, 4), (3, 5)), ((3, 4), (4, 4))):
        plateau = scores.copy()
        plateau[neighbour] = plateau[place]
        assert needs_care(plateau)
    assert needs_care(scores[:1])
    assert needs_care(scores[:, :1])
    assert needs_care(scores * np.float32(1e-38))
    assert needs_care(scores * np.float32(3e38))
    assert not needs_care(-scores)
