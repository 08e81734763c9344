from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from adbench.api.curves.truth import Truth

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6))


@given(masks)
def test_a_mask_comes_back(mask):
    truth = Truth.of(mask)
    assert truth.shape == mask.shape
    np.testing.assert_array_equal(truth.mask, mask)


@pytest.mark.slow
@given(masks)
def test_every_region_adds_up_to_one(mask):
    regions = ndimage.label(mask, structure=np.ones((3, 3)))[1]
    assert (1 / Truth.of(mask).sizes).sum() == pytest.approx(regions)


def test_regions_touch_at_corners():
    assert Truth.of(np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool)).sizes.tolist() == [2, 1, 2]


def test_nothing_is_no_defect():
    truth = Truth.nothing((3, 4))
    assert truth.positions.size == truth.sizes.size == 0
    assert truth.mask.shape == (3, 4)
    assert not truth.mask.any()
