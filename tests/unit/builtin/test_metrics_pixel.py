from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from adbench.api.metric import Evidence
from adbench.builtin.metrics_pixel import PixelAp, PixelAupro05, PixelAupro30, PixelAuroc, PixelF1Max, PixelSegF1

METRICS = [PixelAuroc, PixelAp, PixelF1Max, PixelAupro30, PixelAupro05]


def evidence(*pairs) -> Evidence:
    arrays = [(np.array(scores, dtype=np.float32), np.array(mask, dtype=bool)) for scores, mask in pairs]
    labels, scores = np.array([True, False]), np.array([1, 0], dtype=np.float32)
    return Evidence(labels, scores, maps=lambda: iter(arrays))


def test_names_and_level():
    names = ["pixel-auroc", "pixel-ap", "pixel-f1-max", "pixel-aupro-30", "pixel-aupro-05"]
    assert [metric.name for metric in METRICS] == names
    assert {metric.level for metric in METRICS} == {"pixel"}


def test_each_metric_is_its_figure():
    rng = np.random.default_rng(0)
    scores, masks = rng.integers(0, 9, (3, 8, 8)), rng.random((3, 8, 8)) < 0.3
    seen, labels, flat = evidence(*zip(scores, masks, strict=True)), masks.ravel(), scores.ravel()
    assert PixelAuroc().measure(seen).value == pytest.approx(roc_auc_score(labels, flat), abs=1e-9)
    assert PixelAp().measure(seen).value == pytest.approx(average_precision_score(labels, flat), abs=1e-9)
    best = max(2 * (labels & (flat >= t)).sum() / (labels.sum() + (flat >= t).sum()) for t in range(9))
    assert PixelF1Max().measure(seen).value == pytest.approx(best, abs=1e-9)


def test_aupro_by_hand():
    """Two regions, of 1 and of 3 pixels, and eleven normals, of which one scores 7."""
    scores = [[9, 0, 8, 8, 6], [0, 0, 0, 0, 0], [0, 0, 0, 0, 7]]
    mask = [[1, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    seen, normals = evidence((scores, mask)), 11
    before, one = (1 + 2 / 3) / 2, 1 / normals
    assert PixelAupro05().measure(seen).value == pytest.approx(before, abs=1e-12)
    assert PixelAupro30().measure(seen).value == pytest.approx((before * one + (0.3 - one)) / 0.3, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "figures"),
    [
        ([[3, 2, 1, 0]], [1, 1, 1, 1, 1]),
        ([[0, 1, 2, 3]], [0, 5 / 12, 2 / 3, 0, 0]),
        ([[1] * 4], [0.5, 0.5, 2 / 3, 0.15, 0.025]),
    ],
    ids=["perfect", "reversed", "constant"],
)
def test_known_maps(scores, figures):
    seen = evidence((scores, [[1, 1, 0, 0]]))
    assert [metric().measure(seen).value for metric in METRICS] == pytest.approx(figures, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_undefined_figures_say_why(metric):
    scores = [[1, 2], [3, 4]]
    for pairs, reason in (
        ([(scores, np.zeros((2, 2)))], "the test set has no anomalous pixel"),
        ([(scores, np.ones((2, 2)))], "the test set has no normal pixel"),
        ([], "the test set has no anomalous pixel"),
    ):
        measure = metric().measure(evidence(*pairs))
        assert (measure.value, measure.reason) == (None, reason)
    without = Evidence(np.array([True, False]), np.array([1, 0], dtype=np.float32))
    assert metric().measure(without).reason == "the method makes no anomaly maps"
    assert metric().measure(without).value is None


@pytest.mark.parametrize("metric", METRICS)
def test_a_defined_figure_has_no_reason(metric):
    assert not metric().measure(evidence(([[1, 0]], [[1, 0]]))).reason


@given(st.integers(0, 1000), st.floats(0, 1, width=32))  # maps are float32, and so is the threshold beside them
@settings(max_examples=30, deadline=None)
def test_seg_f1_counts_the_marked_pixels_of_all_images_together(seed, threshold):
    rng = np.random.default_rng(seed)
    scores, masks = rng.integers(0, 5, (4, 6, 7)) / 4, rng.random((4, 6, 7)) < 0.3
    masks[1] = False
    seen = replace(evidence(*zip(scores, masks, strict=True)), pixel_threshold=threshold)
    marked = scores.ravel() > threshold
    assert PixelSegF1().measure(seen).value == pytest.approx(f1_score(masks.ravel(), marked, zero_division=0))


def test_seg_f1_is_undefined_without_a_defect_a_map_or_a_threshold():
    there = replace(evidence(([[1, 2]], [[0, 1]])), pixel_threshold=1.0)
    assert PixelSegF1().measure(there).value == 1
    nothing = replace(evidence(([[1, 2]], [[0, 0]])), pixel_threshold=1.0)
    for found in (nothing, replace(there, maps=None), replace(there, pixel_threshold=None)):
        measure = PixelSegF1().measure(found)
        assert measure.value is None
        assert measure.reason
