"""Figures of classes, against scikit-learn and against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from adbench.api.curves.classes import BINS, ClassPredictions


@st.composite
def predictions(draw):
    count, classes = draw(st.integers(1, 40)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    sharpness = draw(st.sampled_from([0.2, 1.0, 5.0]))
    rows = rng.dirichlet(np.full(classes, sharpness), count).astype(np.float32)
    if draw(st.booleans()):
        rows = np.round(rows * 4) + 1  # ties
        rows = (rows / rows.sum(1, keepdims=True)).astype(np.float32)
    truth = rng.integers(0, draw(st.integers(1, classes)), count)
    return ClassPredictions(tuple(f"class {one}" for one in range(classes)), rows, truth)


@given(predictions())
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
def test_figures_are_scikit_learns(found):
    said, names = found.probabilities.argmax(1), range(len(found.names))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(found.truth, said, labels=names))
    assert found.accuracy == pytest.approx(accuracy_score(found.truth, said))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(found.truth, said))
    assert found.f1_macro == pytest.approx(f1_score(found.truth, said, average="macro", zero_division=0))
    recalls = recall_score(found.truth, said, labels=names, average=None, zero_division=np.nan)
    np.testing.assert_allclose(found.recalls, recalls)


@given(predictions())
def test_the_calibration_error_is_its_definition(found):
    confidence = found.probabilities.max(1).astype(float)
    right = found.probabilities.argmax(1) == found.truth
    error = 0.0
    for place in range(BINS):
        inside = (confidence > place / BINS) & (confidence <= (place + 1) / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert found.calibration_error() == pytest.approx(error, abs=1e-6)


@given(predictions(), st.sampled_from([0.05, 0.1, 0.3]))
def test_conformal_sets_are_calibrated_on_all_other_images(found, alpha):
    scores = 1 - found.probabilities.astype(float)
    sets = []
    for place in range(len(scores)):
        others = sorted(scores[other, found.truth[other]] for other in range(len(scores)) if other != place)
        rank = math.ceil(round((1 - alpha) * (len(others) + 1), 9))
        limit = others[rank - 1] if rank <= len(others) else math.inf
        sets.append({one for one in range(scores.shape[1]) if scores[place, one] <= limit})
    figures = found.conformal(alpha)
    assert figures.size == pytest.approx(np.mean([len(one) for one in sets]))
    covered = np.array([true in one for true, one in zip(found.truth, sets, strict=True)])
    assert figures.coverage == pytest.approx(covered.mean())
    assert figures.lowest == pytest.approx(min(covered[found.truth == one].mean() for one in set(found.truth)))
    assert figures.coverage >= 1 - alpha - 1e-9


def test_sets_of_two_images_by_hand():
    found = ClassPredictions(("good", "hole"), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), np.array([0, 1]))
    assert found.conformal(0.1) == (2.0, 1.0, 1.0)
    assert found.conformal(0.5) == (0.5, 0.5, 0.0)


def test_figures_by_hand():
    rows = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.7, 0.2], [0.2, 0.5, 0.3]], np.float32)
    found = ClassPredictions(("good", "hole", "print"), rows, np.array([0, 0, 1, 2]))
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert found.recalls.tolist() == [0.5, 1.0, 0.0]
    assert (found.accuracy, found.balanced_accuracy) == (0.5, 0.5)
    assert found.f1_macro == pytest.approx((2 / 3 + 0.5) / 3)
    assert found.calibration_error() == pytest.approx((0.2 + 0.6 + 0.3 + 0.5) / 4, abs=1e-6)
