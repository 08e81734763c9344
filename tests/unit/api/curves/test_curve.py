from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from adbench.api.curves import curve as curve_module
from adbench.api.curves import curve_builder as trace_module
from adbench.api.curves import threshold_table
from adbench.api.curves.curve import Curve, curve_of_maps, curve_of_scores
from adbench.errors import ContractError, UsageError

LIMITS = (0.05, 0.3, 1.0)
Pairs = list[tuple[np.ndarray, np.ndarray]]


def approx(value):
    return pytest.approx(value, abs=1e-9, rel=0)


def steps(monkeypatch, count: int) -> None:
    for module in (curve_module, trace_module):
        monkeypatch.setattr(module, "STEPS", count)


def blocks_of(monkeypatch, thresholds: int) -> None:
    monkeypatch.setattr(curve_module, "NUMPY", curve_module.NUMPY._replace(block=thresholds))


def curve_of(pairs: Pairs) -> Curve:
    return curve_of_maps(lambda: iter(pairs))


def slow_aupro(pairs: Pairs, limit: float) -> float:
    """The definition: every distinct score of any pixel is a threshold, and all regions are looked at for each."""
    regions = []
    for image, (_, mask) in enumerate(pairs):
        labels, found = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(image, labels == region) for region in range(1, found + 1)]
    normal = np.concatenate([scores[~mask] for scores, mask in pairs])
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([scores.ravel() for scores, _ in pairs]))[::-1]:
        rates.append((normal >= threshold).mean())
        overlaps.append(np.mean([(pairs[image][0][region] >= threshold).mean() for image, region in regions]))
    area = 0.0
    for x0, x1, y0, y1 in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if x1 <= limit:
            area += (x1 - x0) * (y0 + y1) / 2
        elif x0 < limit:
            at_limit = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            area += (limit - x0) * (y0 + at_limit) / 2
    return area / limit


def agrees_with_sklearn(curve: Curve, labels: np.ndarray, scores: np.ndarray) -> None:
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert curve.auroc == approx(roc_auc_score(labels, scores))
    assert curve.average_precision == approx(average_precision_score(labels, scores))
    assert curve.f1_max == approx(f1.max())
    assert f1[np.searchsorted(thresholds, curve.best_threshold)] == approx(f1.max())


def agrees_with_references(pairs: Pairs) -> None:
    curve = curve_of(pairs)
    labels = np.concatenate([mask.ravel() for _, mask in pairs])
    scores = np.concatenate([scores.ravel() for scores, _ in pairs])
    assert (curve.positives, curve.negatives) == (labels.sum(), (~labels).sum())
    agrees_with_sklearn(curve, labels, scores)
    for limit in LIMITS:
        assert curve.aupro(limit) == approx(slow_aupro(pairs, limit))


def some_pairs(seed: int, *, levels: int | None = None, images: int = 4, size: int = 9) -> Pairs:
    """Maps with scattered defects, one image in four without; `levels` rounds the scores so that many are equal."""
    rng = np.random.default_rng(seed)
    pairs = []
    for image in range(images):
        mask = rng.random((size, size + image)) < (0.0 if image % 4 == 3 else 0.2)
        scores = rng.normal(size=mask.shape) + 1.5 * mask
        pairs.append(((np.round(scores * levels) / levels if levels else scores).astype(np.float32), mask))
    return pairs


def everything(curve: Curve) -> list[float]:
    figures = [curve.auroc, curve.average_precision, curve.f1_max, *(curve.aupro(k / 1000) for k in range(1, 1001))]
    return [float(figure) for figure in figures]


@st.composite
def tiny_pairs(draw) -> Pairs:
    """One to three images of 1 to 4 pixels a side, scores of few levels, with both classes present."""
    pairs = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=4))
        levels = st.sampled_from([-2.0, -0.0, 0.0, 0.25, 1.0, 1e38, -1e38, 1e-45])
        pairs.append((draw(hnp.arrays(np.float32, shape, elements=levels)), draw(hnp.arrays(bool, shape))))
    pairs.append((draw(hnp.arrays(np.float32, (1, 2), elements=levels)), np.array([[True, False]])))
    return pairs


@given(tiny_pairs())
@settings(max_examples=60, deadline=None)
def test_tiny_maps_agree_with_the_definitions(pairs):
    agrees_with_references(pairs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [None, 1, 4])
def test_random_and_tied_maps_agree_with_the_definitions(seed, levels):
    agrees_with_references(some_pairs(seed, levels=levels))


@pytest.mark.slow
def test_limits_are_exact_where_few_points_are_kept(monkeypatch):
    steps(monkeypatch, 20)
    blocks_of(monkeypatch, 50)
    pairs = some_pairs(6, size=14)
    assert len(curve_of(pairs).overlap) < sum(mask.sum() for _, mask in pairs)
    agrees_with_references(pairs)


@pytest.mark.parametrize(
    ("scores", "auroc", "aupro"),
    [([[3, 2], [1, 0]], 1.0, 1.0), ([[0, 1], [2, 3]], 0.0, 0.0), ([[7, 7], [7, 7]], 0.5, 0.15)],
    ids=["perfect", "reversed", "constant"],
)
def test_known_maps(scores, auroc, aupro):
    curve = curve_of([(np.array(scores, dtype=np.float32), np.array([[True, True], [False, False]]))])
    assert curve.auroc == auroc
    assert curve.aupro(0.3) == approx(aupro)


def test_regions_count_alike_and_touch_at_corners():
    scores = np.array([[1, 0, 0, 0, 9], [0, 1, 0, 0, 0]], dtype=np.float32)
    diagonal_pair_and_single = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]], dtype=bool)
    curve = curve_of([(scores, diagonal_pair_and_single)])
    assert curve.overlap.tolist() == sorted(curve.overlap.tolist())
    assert 0.5 in curve.overlap.tolist()  # the single pixel alone: one region of two, not one of three
    half_found = np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=np.float32)
    assert curve_of([(half_found, diagonal_pair_and_single)]).aupro(0.001) == approx(0.25 + 0.75 * 0.0005)


def test_regions_do_not_join_across_images():
    mask, scores = np.array([[True, False]]), np.array([[[5, 0]], [[0, 0]]], dtype=np.float32)
    assert 0.5 in curve_of([(scores[0], mask), (scores[1], mask)]).overlap.tolist()


@pytest.mark.parametrize(("positives", "normals", "block"), [(1, 1, 1), (7, 5, 3), (40, 10**6, 2), (10**6, 20, 10**6)])
@pytest.mark.parametrize("levels", [None, 2])
def test_memory_limits_do_not_change_a_figure(monkeypatch, positives, normals, block, levels):
    pairs = some_pairs(1, levels=levels)
    whole = curve_of(pairs)
    monkeypatch.setattr(threshold_table, "HELD_POSITIVES", positives)
    monkeypatch.setattr(threshold_table, "HELD_NORMALS", normals)
    blocks_of(monkeypatch, block)
    sliced = curve_of(pairs)
    assert sliced.auroc == whole.auroc
    assert (sliced.f1_max, sliced.best_threshold) == (whole.f1_max, whole.best_threshold)
    np.testing.assert_allclose(everything(sliced), everything(whole), rtol=0, atol=1e-12)


def test_two_walks_where_everything_fits(monkeypatch):
    walks, pairs = count(), some_pairs(2)

    def maps():
        next(walks)
        return iter(pairs)

    curve_of_maps(maps)
    assert next(walks) == 2
    monkeypatch.setattr(threshold_table, "HELD_POSITIVES", 50)
    curve_of_maps(maps)
    assert next(walks) > 2 + 1 + 2


def test_points_are_few_and_lie_on_the_whole_curve(monkeypatch):
    rng = np.random.default_rng(3)
    labels, scores = rng.random(60_000) < 0.4, rng.normal(size=60_000)
    thinned = curve_of_scores(labels, scores)
    steps(monkeypatch, 100_000)
    whole = curve_of_scores(labels, scores)
    assert len(thinned.overlap) < 5000 < len(whole.overlap)
    for few, many in ((thinned.roc(), whole.roc()), (thinned.pro(), whole.pro())):
        assert {*zip(*map(np.ndarray.tolist, few), strict=True)} <= {*zip(*map(np.ndarray.tolist, many), strict=True)}
        assert [axis[0] for axis in few] == [0, 0]
        assert [axis[-1] for axis in few] == [1, approx(1)]
        assert np.diff(few[0]).max() <= 0.002


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_images_does_not_matter(order):
    pairs = some_pairs(4, levels=3, images=6)
    shuffled = [pairs[image] for image in order]
    np.testing.assert_allclose(everything(curve_of(shuffled)), everything(curve_of(pairs)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("transform", [lambda x: x * 4 - 100, np.exp, lambda x: np.cbrt(x - 1)])
def test_only_the_ranks_matter(transform):
    pairs = some_pairs(5, levels=8)
    moved = [(transform(scores).astype(np.float32), mask) for scores, mask in pairs]
    assert everything(curve_of(moved)) == everything(curve_of(pairs))


labelled_scores = st.lists(
    st.tuples(st.booleans(), st.floats(-1e6, 1e6, width=32) | st.sampled_from([-1.0, -0.0, 0.0, 1.0])),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@given(labelled_scores)
@settings(deadline=None)
def test_image_scores_agree_with_sklearn(rows):
    labels, scores = np.array([label for label, _ in rows]), np.array([score for _, score in rows], dtype=np.float32)
    agrees_with_sklearn(curve_of_scores(labels, scores), labels, scores)


def test_best_threshold_detects_at_equality():
    curve = curve_of_scores(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.3, 0.1], dtype=np.float32))
    assert (curve.f1_max, curve.best_threshold) == (1.0, np.float32(0.4))


def test_an_image_counts_as_one_region():
    labels, scores = np.array([True, False, True, False, False]), np.array([3.0, 2.5, 2.0, 1.0, 0.0])
    curve = curve_of_scores(labels, scores)
    np.testing.assert_array_equal(curve.overlap, curve.roc()[1])
    assert curve.aupro(1.0) == approx(curve.auroc)


@pytest.mark.parametrize(
    ("mask", "missing"), [([[0, 0]], "anomalous pixel"), ([[1, 1]], "normal pixel"), (np.zeros((0, 2)), "anomalous")]
)
def test_a_missing_class_of_pixels_leaves_figures_undefined(mask, missing):
    mask = np.array(mask, dtype=bool)
    nothing(curve_of([(np.zeros(mask.shape, dtype=np.float32), mask)]), missing)


def test_no_maps_at_all_leave_figures_undefined():
    nothing(curve_of([]), "anomalous pixel")


@pytest.mark.parametrize(
    ("labels", "missing"), [([], "anomalous image"), ([0, 0], "anomalous image"), ([1, 1], "normal image")]
)
def test_a_missing_class_of_images_leaves_figures_undefined(labels, missing):
    nothing(curve_of_scores(np.array(labels, dtype=bool), np.arange(len(labels), dtype=np.float32)), missing)


def nothing(curve: Curve, missing: str) -> None:
    figures = (curve.auroc, curve.average_precision, curve.f1_max, curve.best_threshold, *map(curve.aupro, LIMITS))
    assert set(figures) == {None}
    assert missing in curve.undefined
    assert sum(axis.size for axis in (*curve.roc(), *curve.pro())) == 0


@pytest.mark.parametrize("limit", [0, -0.1, 0.0005, 0.30001, 1.001, 30])
def test_a_limit_that_is_not_a_step_is_refused(limit):
    with pytest.raises(UsageError, match=r"multiple of 0\.001"):
        curve_of(some_pairs(0)).aupro(limit)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named(value):
    with pytest.raises(ContractError, match=f"image 1 is {value}"):
        curve_of_scores(np.array([True, False]), np.array([0, value], dtype=np.float32))
    pairs = some_pairs(0)
    pairs[2][0][0, 0] = value
    with pytest.raises(ContractError, match="image 2 holds NaN or infinity"):
        curve_of(pairs)


def test_scores_and_labels_of_other_lengths_are_refused():
    with pytest.raises(ContractError, match="one score for each label"):
        curve_of_scores(np.array([True, False]), np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        (np.zeros((2, 3), dtype=np.float32), r"image 0 has shape \(2, 3\), its mask \(2, 2\)"),
        (np.zeros((1, 2, 2), dtype=np.float32), "image 0 has shape"),
    ],
)
def test_a_map_that_does_not_fit_is_named(scores, problem):
    with pytest.raises(ContractError, match=problem):
        curve_of([(scores, np.eye(2, dtype=bool))])


def test_walks_that_differ_are_refused():
    seeds = count()
    with pytest.raises(ContractError, match="one differs from the first"):
        curve_of_maps(lambda: iter(some_pairs(next(seeds))))
    once = iter(some_pairs(0))
    with pytest.raises(ContractError, match="one differs from the first"):
        curve_of_maps(lambda: once)
