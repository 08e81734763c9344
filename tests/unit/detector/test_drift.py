"""The drift alarm keeps its bound on streams that did not change, and finds those that did."""

import numpy as np
import pytest

from adbench.detector.drift import Drift

STREAMS = 1000


def _alarm(normal: np.ndarray, stream: np.ndarray, alpha: float, seed: int) -> int | None:
    drift = Drift(normal, alpha, seed)
    for score in stream:
        drift.update(score)
        if drift.since is not None:
            break
    return drift.since


@pytest.mark.slow
@pytest.mark.parametrize("ties", [False, True])
def test_of_streams_without_drift_at_most_alpha_raise_an_alarm(ties: bool) -> None:
    rng, alpha = np.random.default_rng(1), 0.2
    alarms = 0
    for seed in range(STREAMS):
        scores = rng.standard_normal(70)
        scores = np.round(scores) if ties else scores
        alarms += _alarm(scores[:20], scores[20:], alpha, seed) is not None
    slack = 3 * np.sqrt(alpha * (1 - alpha) / STREAMS)
    assert 0 < alarms / STREAMS <= alpha + slack


def test_evidence_of_the_first_image_has_mean_one() -> None:
    rng = np.random.default_rng(2)
    evidence = []
    for seed in range(STREAMS):
        scores = rng.standard_normal(11)
        evidence.append(Drift(scores[:10], seed=seed).update(scores[10]))
    assert np.mean(evidence) == pytest.approx(1, abs=3 * np.std(evidence) / np.sqrt(STREAMS))


@pytest.mark.slow
def test_a_small_calibration_does_not_wear_the_bound_out() -> None:
    """P-values against ten normal scores alone would raise an alarm in most long streams."""
    rng = np.random.default_rng(3)
    alarms = [_alarm(rng.random(10), rng.random(2000), 0.1, seed) for seed in range(20)]
    assert sum(alarm is not None for alarm in alarms) <= 5


@pytest.mark.parametrize("before", [0, 50, 1000])
def test_a_shift_is_found(before: int) -> None:
    rng = np.random.default_rng(4)
    stream = np.concatenate([rng.standard_normal(before), rng.standard_normal(150) + 3])
    since = _alarm(rng.standard_normal(50), stream, 0.01, 0)
    assert since is not None
    assert before < since <= before + 60


def test_a_few_defective_images_raise_no_alarm() -> None:
    rng = np.random.default_rng(5)
    stream = rng.standard_normal(300)
    stream[::50] += 20
    assert _alarm(rng.standard_normal(100), stream, 0.01, 0) is None


def test_the_same_stream_gives_the_same_evidence() -> None:
    scores = np.random.default_rng(6).integers(0, 3, 50)
    first, again = Drift(scores[:10]), Drift(scores[:10])
    assert [first.update(score) for score in scores] == [again.update(score) for score in scores]


def test_evidence_stays_finite_and_the_alarm_names_its_first_image() -> None:
    drift = Drift(np.zeros(200))
    assert drift.words == ""
    for score in range(1, 3000):
        assert np.isfinite(drift.update(score))
    assert drift.since is not None
    assert f"image {drift.since} " in drift.words


def test_without_normal_scores_the_stream_is_its_own_reference() -> None:
    assert Drift(np.zeros(0)).update(5.0) > 0
