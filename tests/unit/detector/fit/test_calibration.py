"""p-values and thresholds: what they promise holds for every distribution of scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.detector.fit.calibration import Calibration
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.store.normal_scores import NormalScores

scores = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40)


def calibrated(values, rule="conformal:alpha=0.1", peaks=None):
    values = np.array(values, np.float32)
    return Calibration(NormalScores(values, "cross-fitted k=5"), peaks, Rule.parse(rule))


@given(scores, st.floats(-1e6, 1e6, width=32))
def test_a_p_value_counts_the_normal_scores_that_are_as_high(values, score):
    p = calibrated(values).p_value(score)
    assert p == (1 + sum(value >= np.float32(score) for value in np.array(values, np.float32))) / (len(values) + 1)
    assert 1 / (len(values) + 1) <= p <= 1


@given(scores)
def test_an_alarm_by_the_conformal_rule_is_a_small_p_value(values):
    found = calibrated(values)
    limit = found.threshold.value
    if limit is None:
        assert len(values) < 9
        return
    for score in [*values, max(values) + 1, min(values) - 1]:
        assert (np.float32(score) > limit) == (found.p_value(score) <= 0.1 + 1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(0, 1000))
def test_exchangeable_scores_get_p_values_that_are_valid(count, seed):
    """Of all N + 1 choices of the new image among exchangeable scores, at most a share t has p <= t."""
    drawn = np.random.default_rng(seed).normal(size=count + 1).astype(np.float32)
    p = [calibrated(np.delete(drawn, place)).p_value(drawn[place]) for place in range(count + 1)]
    for share in (0.01, 0.05, 0.1, 0.5, 1):
        assert np.mean(np.array(p) <= share + 1e-12) <= share + 1e-12


def test_without_scores_there_is_neither():
    none = Calibration(NormalScores(np.zeros(0, np.float32), "cross-fitted k=1", "a single image"))
    assert none.p_value(1.0) is None
    assert none.threshold.value is None
    assert none.pixel_threshold is None
    assert none.words == "no threshold: a single image"


def test_the_pixel_threshold_follows_the_same_rule():
    peaks = np.arange(1, 20, dtype=np.float32)
    assert calibrated(np.zeros(19), peaks=peaks).pixel_threshold == 18
    assert calibrated(np.zeros(19), "quantile:alpha=0.5", peaks).pixel_threshold == pytest.approx(10)


def test_it_says_itself_in_words():
    assert calibrated(np.arange(20)).words == "threshold 18 (conformal, 10 %; cross-fitted k=5 of 20 normal images)"
