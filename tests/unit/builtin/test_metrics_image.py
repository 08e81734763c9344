from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from adbench.api.metric import Evidence
from adbench.builtin.metrics_image import ImageAp, ImageAuroc, ImageF1Max, SampleAuroc

METRICS = [ImageAuroc, ImageAp, ImageF1Max]


def evidence(labels, scores) -> Evidence:
    return Evidence(np.array(labels, dtype=bool), np.array(scores, dtype=np.float32))


def test_names_and_level():
    assert [metric.name for metric in METRICS] == ["image-auroc", "image-ap", "image-f1-max"]
    assert {metric.level for metric in METRICS} == {"image"}


def test_each_metric_is_its_figure():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(50) < 0.3, rng.integers(0, 20, 50)
    seen = evidence(labels, scores)
    assert ImageAuroc().measure(seen).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert ImageAp().measure(seen).value == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    best = max(2 * (labels & (scores >= t)).sum() / (labels.sum() + (scores >= t).sum()) for t in scores)
    assert ImageF1Max().measure(seen).value == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(
    ("scores", "figures"),
    [([4, 3, 2, 1], [1, 1, 1]), ([1, 2, 3, 4], [0, (1 / 3 + 2 / 4) / 2, 2 / 3]), ([5] * 4, [0.5, 0.5, 2 / 3])],
    ids=["perfect", "reversed", "constant"],
)
def test_known_scores(scores, figures):
    seen = evidence([True, True, False, False], scores)
    assert [metric().measure(seen).value for metric in METRICS] == pytest.approx(figures, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([False, False], "the test set has no anomalous image"),
        ([True, True], "the test set has no normal image"),
        ([], "the test set has no anomalous image"),
    ],
)
def test_one_class_only_is_undefined(metric, labels, reason):
    measure = metric().measure(evidence(labels, range(len(labels))))
    assert (measure.value, measure.reason) == (None, reason)


@pytest.mark.parametrize("metric", METRICS)
def test_a_defined_figure_has_no_reason(metric):
    assert not metric().measure(evidence([True, False], [1, 0])).reason


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.sampled_from("abcd")), min_size=1, max_size=20))
def test_a_specimen_scores_as_its_worst_view(rows):
    labels, scores, names = (list(column) for column in zip(*rows, strict=True))
    known = Evidence(np.array(labels), np.array(scores, np.float32), specimens=names)
    found = SampleAuroc().measure(known)
    by_name = {name: [place for place, other in enumerate(names) if other == name] for name in names}
    worst = [max(scores[place] for place in places) for places in by_name.values()]
    defective = [any(labels[place] for place in places) for places in by_name.values()]
    if len(set(defective)) < 2:
        assert found.value is None
        assert found.reason
    else:
        assert found.value == pytest.approx(roc_auc_score(defective, worst))


def test_without_views_there_are_no_specimens():
    found = SampleAuroc().measure(evidence([True, False], [1, 0]))
    assert found.value is None
    assert "same specimen" in found.reason
