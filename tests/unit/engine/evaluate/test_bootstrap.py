import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap

from adbench import GOOD, Geometry
from adbench.api.curves.classes import ClassPredictions
from adbench.api.curves.curve import curve_of_annotated, curve_of_scores
from adbench.api.curves.truth import Truth
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.metrics_class import ClassAccuracy, ClassBalancedAccuracy, ClassF1Macro
from adbench.builtin.metrics_image import ImageAuroc
from adbench.builtin.metrics_pixel import PixelAupro30, PixelAuroc
from adbench.engine.evaluate import bootstrap
from adbench.engine.evaluate.bootstrap import (
    CLASS_FIGURES,
    IMAGE_FIGURES,
    PIXEL_FIGURES,
    Confusions,
    SharedIntervals,
    intervals,
    levels_of_maps,
    levels_of_scores,
)
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.predictions import Predictions

EXACT = {
    "auroc": lambda curve: curve.auroc,
    "ap": lambda curve: curve.average_precision,
    "f1-max": lambda curve: curve.f1_max,
    "aupro-30": lambda curve: curve.aupro(0.3),
    "aupro-05": lambda curve: curve.aupro(0.05),
}


def with_intervals(metrics, evaluator, draws):
    """The metrics of a run that shares its intervals with no other."""
    return SharedIntervals(draws).added(metrics, evaluator)


def exact(name, curve):
    return EXACT[name.partition("-")[2]](curve)


def repeated(maps, weights):
    """A walk over the images of a draw, each as often as it was taken."""
    return lambda: (each for each, weight in zip(maps, weights, strict=True) for _ in range(weight))


@st.composite
def image_draws(draw):
    """Labels, scores with ties, and a draw that has both kinds."""
    kinds = [draw(st.integers(1, 6)) for _ in range(2)]
    labels = np.repeat([False, True], kinds)
    scores = draw(st.lists(st.integers(-3, 3), min_size=len(labels), max_size=len(labels)))
    weights = draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels)))
    weights[0], weights[-1] = max(1, weights[0]), max(1, weights[-1])
    return labels, np.array(scores, np.float32) / 4, np.array(weights)


@settings(deadline=None)
@given(image_draws())
def test_a_draw_of_images_has_the_figures_of_its_images(drawn):
    labels, scores, weights = drawn
    found = levels_of_scores(labels, scores).drawn(weights[None].astype(float))
    curve = curve_of_scores(labels.repeat(weights), scores.repeat(weights))
    for name, figure in IMAGE_FIGURES.items():
        assert figure(found) == pytest.approx([exact(name, curve)], abs=1e-12)


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(0, 1000), st.lists(st.integers(0, 3), min_size=7, max_size=7))
def test_a_draw_of_classes_has_the_figures_of_its_images(count, seed, weights):
    weights[0] = max(1, weights[0])
    rng = np.random.default_rng(seed)
    names, shares, truth = tuple("abcd"[:count]), rng.dirichlet(np.ones(count), 7), rng.integers(0, count, 7)
    found = Confusions.of(ClassPredictions(names, shares, truth)).drawn(np.array([weights], float))
    drawn = ClassPredictions(names, shares.repeat(weights, 0), truth.repeat(weights))
    exactly = (drawn.accuracy, drawn.balanced_accuracy, drawn.f1_macro)
    for figure, wanted in zip(CLASS_FIGURES.values(), exactly, strict=True):
        assert figure(found) == pytest.approx([wanted], abs=1e-12)


def random_maps(count, side, steps, seed=0):
    """Maps of so many distinct scores, higher on the squares that are their truth; every other image is good."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        mask = np.zeros((side, side), bool)
        if index % 2:
            for _ in range(rng.integers(1, 4)):
                top, left = rng.integers(0, side - 1, 2)
                mask[top : top + rng.integers(1, side // 2), left : left + rng.integers(1, side // 2)] = True
        scores = rng.normal(size=mask.shape) + 1.2 * mask + rng.normal(0, 0.3)
        yield np.round(scores * steps) / steps, Truth.of(mask)


@settings(deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_draw_of_maps_has_the_figures_of_its_maps(seed, weights):
    maps = list(random_maps(4, 6, 4, seed))
    weights[0], weights[1] = max(1, weights[0]), max(1, weights[1])
    levels, shown = levels_of_maps(lambda: iter(maps), 4)
    found, curve = levels.drawn(np.array([weights], float)), curve_of_annotated(repeated(maps, weights))
    assert shown.tolist() == [bool(truth.positions.size) for _, truth in maps]
    for name, figure in PIXEL_FIGURES.items():
        assert figure(found) == pytest.approx([exact(name, curve)], abs=1e-12)


@pytest.mark.parametrize("levels", [64, 512, 4096])
def test_with_few_levels_figures_are_off_by_less_than_is_promised(monkeypatch, levels):
    monkeypatch.setattr(bootstrap, "LEVELS", levels)
    maps = list(random_maps(20, 48, 1e6))
    made, _ = levels_of_maps(lambda: iter(maps), 20)
    assert made.normals.shape[1] <= levels
    for weights in (np.ones(20, int), np.random.default_rng(1).multinomial(20, [1 / 20] * 20)):
        drawn, curve = made.drawn(weights[None].astype(float)), curve_of_annotated(repeated(maps, weights))
        # in a level, two curves through the same corners enclose a box at most; the straight line halves it
        widths = drawn.normals / drawn.false[:, -1:]
        heights = {"auroc": drawn.positives / drawn.true[:, -1:], "aupro": drawn.regions / drawn.regions.sum()}
        for name, figure in PIXEL_FIGURES.items():
            off = abs(figure(drawn)[0] - exact(name, curve))
            assert off <= 2 / levels
            if name.split("-")[1] in heights:
                limit = int(name[-2:]) / 100 if "aupro" in name else 1
                assert off <= (widths * heights[name.split("-")[1]]).sum() / 2 / limit + 1e-9
                assert off <= 1.5 * weights.max() ** 2 / levels, "whatever the scores are"


def test_intervals_are_those_of_drawing_the_images_one_by_one():
    rng = np.random.default_rng(3)
    labels = np.repeat([False, True], [12, 18])
    scores = (rng.normal(size=30) + labels).astype(np.float32)
    found = intervals(levels_of_scores(labels, scores), labels, IMAGE_FIGURES, 50)

    for name in IMAGE_FIGURES:

        def statistic(good, bad, name=name):
            taken = np.concatenate([good, bad])
            return exact(name, curve_of_scores(labels[taken], scores[taken]))

        wanted = scipy_bootstrap(
            [np.flatnonzero(~labels), np.flatnonzero(labels)],
            statistic,
            n_resamples=50,
            random_state=np.random.default_rng(bootstrap.SEED),
        ).confidence_interval
        assert found[name] == pytest.approx(tuple(wanted), abs=1e-6)


def test_intervals_are_the_same_every_time_and_draws_matter():
    labels = np.repeat([False, True], 20)
    scores = np.random.default_rng(0).normal(size=40) + labels
    first, again, other = (intervals(levels_of_scores(labels, scores), labels, IMAGE_FIGURES, n) for n in (90, 90, 91))
    assert first == again != other
    for low, high in first.values():
        assert 0 <= low < high <= 1


def test_more_images_leave_less_doubt():
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 200):
        labels = np.repeat([False, True], count)
        low, high = intervals(levels_of_scores(labels, rng.normal(size=2 * count) + labels), labels, IMAGE_FIGURES)[
            "image-auroc"
        ]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_where_every_defect_stands_out_the_interval_is_a_point():
    labels = np.repeat([False, True], 5)
    found = intervals(levels_of_scores(labels, labels.astype(float)), labels, IMAGE_FIGURES, 100)
    assert found == dict.fromkeys(IMAGE_FIGURES, (1.0, 1.0))


@pytest.mark.parametrize("kinds", [(0, 5), (5, 0), (1, 5), (5, 1)])
def test_there_is_none_without_two_images_of_each_kind(kinds):
    labels = np.repeat([False, True], kinds)
    assert intervals(levels_of_scores(labels, np.arange(len(labels))), labels, IMAGE_FIGURES) == {}


def test_maps_of_defective_images_alone_have_intervals():
    maps = [each for each in random_maps(12, 8, 10) if each[1].positions.size]
    levels, shown = levels_of_maps(lambda: iter(maps), len(maps))
    assert set(intervals(levels, shown, PIXEL_FIGURES, 100)) == set(PIXEL_FIGURES)


@pytest.fixture
def judge(parts):
    dataset = Folder(root=parts)
    samples = dataset.split("bolt").test
    rng = np.random.default_rng(0)
    scores = np.array([rng.normal() + sample.anomalous for sample in samples], np.float32)
    grids = tuple(rng.normal(size=(8, 8)).astype(np.float32) for _ in samples)
    ids = tuple(sample.id for sample in samples)
    return Evaluator(
        dataset, samples, Predictions(ids, (Geometry.whole(64, 64),) * len(ids), scores, grids), MapSpec(), None
    )


def test_metrics_of_a_run_get_their_intervals(judge):
    metrics = measure([ImageAuroc(), PixelAuroc(), PixelAupro30()], judge.evidence())
    found = with_intervals(metrics, judge, 100)
    assert {name: info.value for name, info in found.items()} == {name: info.value for name, info in metrics.items()}
    for info in found.values():
        low, high = info.interval
        assert 0 <= low <= high <= 1


def test_class_metrics_of_a_run_get_their_intervals(judge):
    """And they depend on the probabilities, though the scores are the same."""
    metrics, shared = [ClassAccuracy(), ClassBalancedAccuracy(), ClassF1Macro()], SharedIntervals(100)
    defective = np.array([sample.anomalous for sample in judge.samples])
    for wrong, least in ((0, 1.0), (1, 0.0)):
        said = defective.copy()
        said[:wrong] ^= True
        classes = np.stack([~said, said], 1).astype(np.float32)
        one = replace(judge, predictions=replace(judge.predictions, classes=classes))
        found = shared.added(measure(metrics, one.evidence()), one)
        for info in found.values():
            low, high = info.interval
            assert low <= info.value <= high
            assert (low == 1.0) == (least == 1.0)


def test_a_metric_of_somebody_else_gets_none(judge):
    class Other(ImageAuroc):
        """Another."""

        name = "other"

    assert with_intervals(measure([Other()], judge.evidence()), judge, 100)["other"].interval is None


def test_an_undefined_figure_loses_its_interval(judge):
    metrics = measure([ImageAuroc()], judge.evidence())
    undefined = {"image-auroc": metrics["image-auroc"].model_copy(update={"value": None, "interval": (0.0, 1.0)})}
    assert with_intervals(undefined, judge, 100)["image-auroc"].interval is None


def test_without_annotation_there_are_intervals_of_images_only(judge, monkeypatch):
    monkeypatch.setattr(judge.dataset, "mask", lambda sample: None)
    found = with_intervals(measure([ImageAuroc(), PixelAuroc()], judge.evidence()), judge, 100)
    assert found["image-auroc"].interval is not None
    assert found["pixel-auroc"].interval is None


@pytest.mark.slow
def test_memory_is_bounded(monkeypatch):
    """Ten times the images take the room of ten times the levels, and no more than is allowed."""
    monkeypatch.setattr(bootstrap, "_CELLS", 1 << 17)

    def maps():
        return random_maps(600, 64, 1e6)

    tracemalloc.start()
    levels, shown = levels_of_maps(maps, 600)
    intervals(levels, shown, PIXEL_FIGURES, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert levels.normals.shape == (600, (1 << 17) // 600)
    assert peak < 150e6


def test_runs_with_equal_predictions_are_drawn_once(judge, monkeypatch):
    metrics = measure([ImageAuroc(), PixelAuroc()], judge.evidence())
    drawn, real = [], bootstrap.intervals
    monkeypatch.setattr(bootstrap, "intervals", lambda *given: drawn.append(1) or real(*given))
    shared, alone = SharedIntervals(100), with_intervals(metrics, judge, 100)
    drawn.clear()
    same = replace(judge, predictions=replace(judge.predictions, scores=judge.predictions.scores.copy()))
    assert shared.added(metrics, judge) == shared.added(metrics, same) == alone
    assert len(drawn) == 2  # image figures, and pixel figures


@pytest.mark.parametrize("changed", ["scores", "patches", "labels", "spec", "grid", "pixel figures"])
def test_whatever_figures_depend_on_is_drawn_anew(judge, changed):
    metrics = measure([ImageAuroc(), PixelAuroc()], judge.evidence())
    shared, given, other, fewer = SharedIntervals(100), judge.predictions, judge, metrics
    shared.added(metrics, judge)
    if changed == "scores":
        other = replace(judge, predictions=replace(given, scores=given.scores[::-1]))
    elif changed == "patches":
        other = replace(judge, predictions=replace(given, patches=given.patches[::-1]))
    elif changed == "labels":
        first = next(one for one in judge.samples if one.anomalous)
        samples = [replace(one, defect=GOOD) if one is first else one for one in judge.samples]
        other = replace(judge, samples=samples)
    elif changed == "spec":
        other = replace(judge, spec=MapSpec(sigma=1))
    elif changed == "grid":
        other = replace(judge, grid=(32, 32))
    else:
        fewer = {"image-auroc": metrics["image-auroc"]}
    assert shared.added(fewer, other) == with_intervals(fewer, other, 100)
    assert len(shared._found) == 2
