import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adbench import DataError
from adbench.detector.fusion import DetectorScores, alarms, auroc, evidence, fused, normals_needed, p_values

FLOATS = st.integers(-1000, 1000).map(lambda number: number / 8)
"""Numbers that float32 holds exactly."""
SCORES = arrays(np.float32, st.integers(1, 30), elements=FLOATS)


@given(SCORES, SCORES)
def test_p_values_are_those_of_the_definition(scores, normal):
    slow = [(1 + sum(float(one) >= float(score) for one in normal)) / (1 + len(normal)) for score in scores]
    np.testing.assert_allclose(p_values(scores, normal), slow)


@given(SCORES, SCORES)
def test_evidence_never_falls_with_the_score_and_is_conformal_at_normal_scores(scores, normal):
    ordered = np.sort(scores)
    found = evidence(ordered, normal)
    assert (np.diff(found) >= -1e-9).all()
    np.testing.assert_allclose(evidence(normal, normal), -np.log(p_values(normal, normal)), atol=1e-9)
    above = np.array([normal.max() + 1, normal.max() + 2], np.float32)
    assert evidence(above, normal)[1] > evidence(above, normal)[0] > evidence(normal, normal).max()


@given(SCORES, SCORES, st.floats(0.1, 10), FLOATS)
def test_the_scale_of_a_detector_does_not_matter(scores, normal, factor, offset):
    wide = [array.astype(np.float64) for array in (scores, normal)]
    moved = [array * factor + offset for array in wide]
    if len(np.unique(normal)) > 1:  # the scale of equal scores is not theirs
        np.testing.assert_allclose(evidence(*wide), evidence(*moved), rtol=1e-6, atol=1e-6)


def test_fusion_finds_what_one_detector_cannot_see():
    """Each detector sees half of the defects, at another scale; together they see all."""
    rng = np.random.default_rng(0)
    labels = np.repeat([False, True], 40)
    first, second = rng.normal(0, 1, (2, 80))
    first[40:60] += 6
    second[60:] += 6
    detectors = [
        DetectorScores("rgb", first.astype(np.float32), rng.normal(0, 1, 60).astype(np.float32)),
        DetectorScores("depth", (1000 * second).astype(np.float32), (1000 * rng.normal(0, 1, 60)).astype(np.float32)),
    ]
    single = [auroc(labels, one.scores) for one in detectors]
    assert max(single) < 0.9
    assert all(auroc(labels, fused(detectors, how)) > 0.98 for how in ("sum", "max"))
    raised = alarms(detectors, 0.05)
    assert raised[labels].all()
    assert raised[~labels].mean() <= 0.1


def test_normal_samples_raise_few_alarms():
    """Over many draws the share is at most alpha, also where the detectors see nearly the same."""
    rng, shares = np.random.default_rng(1), []
    for _ in range(200):
        common = rng.normal(size=120)
        pair = [(common + 0.1 * rng.normal(size=120)).astype(np.float32) for _ in range(2)]
        detectors = [DetectorScores(str(number), one[:60], one[60:]) for number, one in enumerate(pair)]
        shares.append(alarms(detectors, 0.1).mean())
    assert np.mean(shares) <= 0.1


def test_too_few_normal_scores_give_no_alarms():
    assert normals_needed(2, 0.05) == 39
    for count, there in ((38, False), (39, True)):
        detectors = [DetectorScores(name, np.ones(3, np.float32), np.zeros(count, np.float32)) for name in "ab"]
        assert (alarms(detectors, 0.05) is not None) == there


def test_a_detector_without_normal_scores_is_refused():
    with pytest.raises(DataError, match="rgb: the run has no scores of normal images"):
        DetectorScores("rgb", np.ones(3, np.float32), np.zeros(0, np.float32))
