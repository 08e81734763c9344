"""What is handed to metrics, brought into the form of curves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from adbench import UsageError
from adbench.api.arrays import Codes, array_of, as_float32, codes_for, truth_of

FLOATS = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e308, 1e308))


@given(positives=FLOATS, others=FLOATS)
def test_codes_keep_the_order_towards_positives(positives, others):
    codes = Codes(positives)
    mine, theirs = codes.of(positives), codes.of(np.append(others, positives))
    for relation in (np.less, np.equal, np.greater):
        wanted = relation.outer(positives, np.append(others, positives))
        np.testing.assert_array_equal(relation.outer(mine, theirs), wanted)
    assert [codes.score(code) for code in mine] == positives.tolist()


def test_codes_have_the_shape_of_the_scores():
    assert Codes(np.array([0.5])).of(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("scores", "needed"),
    [
        (np.array([0.1], np.float32), False),
        (np.array([0.1], np.float16), False),
        (np.array([0.5]), False),
        (np.array([0.1]), True),
        (np.array([1e300]), True),
        (np.array([1 << 24]), False),
        (np.array([(1 << 24) + 1]), True),
        (np.array([-(1 << 60)]), True),
        (np.zeros(0), False),
    ],
)
def test_codes_are_made_where_float32_would_round(scores, needed):
    assert (codes_for([scores], [np.ones(scores.shape, bool)]) is not None) is needed
    assert codes_for([scores], [np.zeros(scores.shape, bool)]) is None, "without positives there is no figure"


def test_a_tensor_of_any_kind_becomes_an_array():
    given = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert array_of(given, "scores").tolist() == [1, 2]


def test_truth_is_boolean():
    assert truth_of([0, 1.0], "labels", "").dtype == bool
    assert truth_of([], "labels", "").size == 0
    with pytest.raises(UsageError, match="labels are 0 .normal. or 1 .anomalous., not 3; do so"):
        truth_of([0, 3], "labels", "do so")


def test_a_map_beyond_float32_is_refused():
    assert as_float32(np.array([[1.5]]), 0).dtype == np.float32
    with pytest.raises(UsageError, match="map 7: a score is too large for float32"):
        as_float32(np.array([[1e39]]), 7)
