"""`adbench.metrics` against the slow references, scikit-learn and the sentences of its own docstrings."""

from __future__ import annotations

import doctest
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from adbench import Evidence, UsageError, metrics
from adbench.metrics import (
    Region,
    aupro,
    auroc,
    average_precision,
    curve_of,
    f1_max,
    pixel_curve_of,
    pro_curve,
    roc_curve,
)
from adbench.testing import reference_metrics as slow
from adbench.testing.toy_truth import evidence

FIGURES = {"auroc": auroc, "average_precision": average_precision, "f1_max": f1_max}
LIMITS = (0.05, 0.3, 1.0)


def test_spro_keeps_the_precision_of_the_scores():
    """Scores that float32 cannot tell apart are ranked all the same."""
    mask = np.zeros((3, 4), dtype=bool)
    mask[0] = True
    scores = 1 - 1e-9 * np.arange(12, dtype=np.float64).reshape(3, 4)
    assert metrics.spro([scores], [[Region.of(mask, 2)]], limit=0.5) == 1.0
    assert metrics.spro(torch.from_numpy(scores[None]), [[Region.of(mask)]], limit=0.5) == 1.0


def test_spro_refuses_what_does_not_fit():
    mask = np.ones((2, 2), dtype=bool)
    with pytest.raises(UsageError, match="there are 1 for 2 maps"):
        metrics.spro(np.zeros((2, 2, 2)), [[]])
    with pytest.raises(UsageError, match=r"map 0 has shape \(3, 2\), a region of it \(2, 2\)"):
        metrics.spro([np.zeros((3, 2))], [[Region.of(mask)]])
    with pytest.raises(UsageError, match="finite"):
        metrics.spro([np.full((2, 2), np.nan)], [[]])


def area(x, y):
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)


def approx(value):
    return pytest.approx(value, abs=1e-9, rel=0)


@pytest.mark.parametrize("page", ["metrics.py", "metrics.md"])
def test_what_is_shown_is_true(page):
    root = Path(__file__).parents[2]
    if page == "metrics.py":
        failed, tried = doctest.testmod(metrics)
    else:
        failed, tried = doctest.testfile(str(root / "docs" / page), module_relative=False)
    assert failed == 0
    assert tried > 8


def test_every_function_has_an_example():
    for name in set(metrics.__all__) - {"Curve"}:
        assert ">>> " in getattr(metrics, name).__doc__, name


# figures


@st.composite
def samples(draw, elements):
    """Labels of both classes and scores, many of which are equal."""
    count = draw(st.integers(2, 40))
    labels = draw(hnp.arrays(bool, count))
    labels[:2] = True, False
    return labels, draw(hnp.arrays(np.float64, count, elements=elements))


LEVELS = st.integers(-3, 3).map(float)
ANY = st.floats(-1e300, 1e300, allow_subnormal=True)
NEAR_ONE = st.integers(1, 6).map(lambda power: 1 - 10.0 ** -(power + 8))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("elements", [LEVELS, ANY, NEAR_ONE], ids=["levels", "any", "near one"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_figures_are_those_of_the_definition(name, elements, data):
    labels, scores = data.draw(samples(elements))
    assert FIGURES[name](labels, scores) == approx(getattr(slow, name)(labels, scores))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_figures_are_those_of_scikit_learn(data):
    labels, scores = data.draw(samples(ANY))
    assert auroc(labels, scores) == approx(roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == approx(average_precision_score(labels, scores))


def test_scores_that_float32_cannot_tell_apart_are_ranked():
    labels, scores = [0, 0, 1, 1], [1 - 1e-9, 1 - 1e-10, 1 - 1e-11, 1.0]
    curve = curve_of(labels, scores)
    assert (curve.auroc, curve.best_threshold) == (1.0, 1 - 1e-11)
    assert auroc([0, 1], [2**60, 2**60 + 1]) == 1.0
    assert auroc([0, 1], [1e300, 2e300]) == 1.0


def test_two_zeros_are_equal():
    assert auroc([0, 1], [-0.0, 0.0]) == 0.5
    assert auroc([0, 1, 1], [-0.0, 0.0, 1 + 1e-12]) == 0.75


@pytest.mark.parametrize("labels", [[], [0], [1], [0, 0, 0], [1, 1]])
@pytest.mark.parametrize("name", FIGURES)
def test_one_class_is_undefined(name, labels):
    assert FIGURES[name](labels, np.arange(len(labels))) is None


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8]
)
def test_tensors_of_any_type(dtype):
    labels = torch.tensor([0, 1, 0, 1])
    scores = torch.tensor([1, 2, 2, 3]).to(dtype)
    if dtype.is_floating_point:
        scores.requires_grad_()
    assert auroc(labels, scores) == auroc(labels.bool(), scores) == 0.875


def test_pixels_are_samples_too():
    given = evidence("noisy")
    pairs = list(given.maps())
    same = [pair for pair in pairs if pair[0].shape == pairs[0][0].shape]
    masks, maps = np.stack([mask for _, mask in same]), np.stack([found for found, _ in same])
    assert auroc(masks, maps) == approx(roc_auc_score(masks.ravel(), maps.ravel())) == pixel_curve_of(maps, masks).auroc


# the ROC curve


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_roc_curve_is_scikit_learns(data):
    labels, scores = data.draw(samples(st.one_of(LEVELS, ANY)))
    false, true = roc_curve(labels, scores)
    theirs = sklearn_roc_curve(labels, scores, drop_intermediate=False)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()
    assert area(false, true) == approx(auroc(labels, scores))
    for x, y in zip(*theirs[:2], strict=True):
        height = np.interp(x, false, true)
        assert height >= y - 1e-9 or any((false == x) & (abs(true - y) < 1e-9)) or _on(false, true, x, y)


def _on(xs, ys, x, y):
    """Whether a point lies on a line of which some pieces are upright."""
    pieces = zip(xs, ys, xs[1:], ys[1:], strict=False)
    return any(x0 - 1e-9 <= x <= x1 + 1e-9 and y0 - 1e-9 <= y <= y1 + 1e-9 for x0, y0, x1, y1 in pieces)


def test_every_corner_is_there_or_a_few_thousand():
    rng = np.random.default_rng(0)
    labels = rng.random(60_000) < 0.3
    scores = rng.random(60_000) + 0.2 * labels
    false, true = roc_curve(labels, scores)
    few_false, few_true = roc_curve(labels, scores, every=False)
    assert area(false, true) == approx(auroc(labels, scores))
    assert len(few_false) <= 4004 < len(false)
    assert set(zip(few_false, few_true, strict=True)) <= set(zip(false, true, strict=True))


@pytest.mark.parametrize(("labels", "missing"), [([0, 0], "anomalous"), ([1, 1], "normal"), ([], "anomalous")])
def test_no_curve_without_both_classes(labels, missing):
    with pytest.raises(UsageError, match=f"no ROC curve without a {missing} sample"):
        roc_curve(labels, np.zeros(len(labels)))
    with pytest.raises(UsageError, match=f"no PRO curve without a {missing} pixel"):
        pro_curve([[np.zeros(len(labels))]], [[labels]])


# maps


@st.composite
def maps_and_masks(draw, elements, dtype):
    shapes = [(draw(st.integers(1, 6)), draw(st.integers(1, 6))) for _ in range(draw(st.integers(1, 4)))]
    masks = [draw(hnp.arrays(bool, shape)) for shape in [(2, 3), *shapes]]
    masks[0][0, 0], masks[0][1, 2] = True, False
    return [draw(hnp.arrays(dtype, mask.shape, elements=elements)) for mask in masks], masks


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("elements", [LEVELS, ANY, NEAR_ONE], ids=["levels", "any", "near one"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_aupro_is_that_of_the_definition(elements, limit, data):
    maps, masks = data.draw(maps_and_masks(elements, np.float64))
    assert aupro(maps, masks, limit) == approx(by_definition(maps, masks, limit))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_pairs_are_ranked_as_float32(data):
    maps, masks = data.draw(maps_and_masks(st.floats(-10, 10), np.float64))
    single = [some.astype(np.float32) for some in maps]
    pairs = list(zip(maps, masks, strict=True))
    assert (
        aupro(pairs) == aupro(lambda: iter(pairs)) == aupro(single, masks) == approx(by_definition(single, masks, 0.3))
    )


def by_definition(maps, masks, limit):
    """The reference, at whose limit of 1 there is no rate above."""
    labels = np.array([mask.any() for mask in masks])
    given = Evidence(labels, labels.astype(np.float32), lambda: zip(maps, masks, strict=True))
    return slow.aupro(given, limit) if limit < 1 else _whole(maps, masks)


def _whole(maps, masks):
    """AUPRO at 1: for each region the AUROC of its pixels against all normal pixels, on average."""
    normal = np.concatenate([some[~mask] for some, mask in zip(maps, masks, strict=True)])
    regions = slow._regions(masks)
    every = np.concatenate([some.ravel() for some in maps])
    found = []
    for region in regions:
        scores = np.concatenate([every[region], normal])
        found.append(slow.auroc(np.arange(len(scores)) < region.sum(), scores))
    return float(np.mean(found))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_pro_curves_area_is_aupro(data):
    maps, masks = data.draw(maps_and_masks(LEVELS, np.float32))
    false, overlap = pro_curve(maps, masks)
    assert (false[0], overlap[0], false[-1]) == (0, 0, 1)
    assert overlap[-1] == approx(1)
    assert area(false, overlap) == approx(aupro(maps, masks, 1))


def test_maps_are_arrays_tensors_or_lists():
    rng = np.random.default_rng(1)
    maps, masks = rng.random((3, 8, 9), dtype=np.float32), rng.random((3, 8, 9)) < 0.2
    wanted = aupro(maps, masks)
    assert aupro(torch.from_numpy(maps), torch.from_numpy(masks)) == wanted
    assert aupro(list(maps), [mask.astype(np.uint8) for mask in masks]) == wanted
    assert aupro(maps.tolist(), masks.tolist()) == wanted


def test_maps_stay_as_they_are():
    maps, masks = np.random.default_rng(1).random((2, 8, 9)), np.zeros((2, 8, 9), np.uint8)
    masks[0, 2:4, 2:4] = 1
    before = maps.copy(), masks.copy()
    aupro(maps, masks)
    aupro(list(zip(maps, masks, strict=True)))
    np.testing.assert_array_equal(maps, before[0])
    np.testing.assert_array_equal(masks, before[1])


@pytest.mark.parametrize("mask", [0, 1])
def test_aupro_of_one_class_is_undefined(mask):
    masks = np.full((2, 3, 4), mask)
    assert aupro(np.ones((2, 3, 4)), masks) is None
    assert aupro([], []) is None


def test_the_records_figures_are_these():
    given = evidence("ties")
    assert auroc(given.labels, given.scores) == given.image_curve.auroc
    assert aupro(given.maps) == given.pixel_curve.aupro(0.3)


@pytest.mark.slow
def test_pairs_take_bounded_memory():
    """Sixty maps of 4 MiB each, of which one is there at a time, beside what the curve holds."""

    def pairs():
        for seed in range(60):
            scores = np.random.default_rng(seed).random((1024, 1024), dtype=np.float32)
            mask = np.zeros((1024, 1024), dtype=bool)
            mask[:32, :32] = True
            yield scores, mask

    tracemalloc.start()
    pixel_curve_of(pairs).aupro(0.3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20
