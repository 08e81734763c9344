import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.engine.images.pooling import mean_of_all, share_of, sum_of_all, wilson_interval


@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilsons_interval_solves_its_equation(pair):
    """Its ends p are where the share lies 1.96 standard errors of p away."""
    count, total = pair
    low, high = wilson_interval(count, total)
    assert 0 <= low <= count / total <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        assert abs(count / total - end) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / total), rel=1e-3)


def test_nothing_of_some_has_an_interval_too():
    assert wilson_interval(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))


@pytest.mark.parametrize(("count", "total"), [(None, 4), (0, 0), (5, 4), (-1, 4)])
def test_there_is_no_share_of_nothing(count, total):
    assert share_of(count, total) is None


def test_a_share_has_its_interval():
    found = share_of(3, 20)
    assert (found.value, found[1:]) == (0.15, wilson_interval(3, 20))


@given(st.lists(st.integers(-100, 100), min_size=1))
def test_a_missing_figure_makes_mean_and_sum_unknown(values):
    assert sum_of_all(values) == sum(values)
    assert mean_of_all(values) == pytest.approx(sum(values) / len(values))
    assert sum_of_all([*values, None]) is None
    assert mean_of_all([None, *values]) is None


def test_nothing_has_no_mean():
    assert (mean_of_all([]), sum_of_all([])) == (None, None)
