import math
from dataclasses import replace

import numpy as np
import pytest

from adbench import ContractError, DataError, Geometry, Measure, Metric
from adbench.api.bounded_cache import BoundedCache
from adbench.builtin.folders.datasets import Folder
from adbench.engine.evaluate.device_curve import curve_on_device
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.store.predictions import Predictions

PLAIN = MapSpec(sigma=0)


@pytest.fixture
def make_judge(parts):
    dataset = Folder(root=parts)
    samples = dataset.split("bolt").test

    def make(*, ids=None, patches=True, grid=None, **more):
        count = len(samples)
        grids = tuple(np.full((4, 4), index, np.float32) for index in range(count)) if patches else None
        scores = np.arange(count, dtype=np.float32)
        names = tuple(sample.id for sample in samples) if ids is None else ids
        predictions = Predictions(names, (Geometry.whole(64, 64),) * count, scores, grids)
        return Evaluator(dataset, samples, predictions, PLAIN, grid, **more)

    return make


def test_truth_joins_in_the_order_of_the_predictions(make_judge):
    evidence = make_judge().evidence()
    assert evidence.labels.tolist() == [False] * 3 + [True] * 3
    assert evidence.scores.tolist() == [0, 1, 2, 3, 4, 5]
    for index, (scores, mask) in enumerate(evidence.maps()):
        assert scores.shape == mask.shape == (64, 64)
        assert (scores == index).all()
        assert mask.any() == evidence.labels[index]


def test_maps_and_masks_are_on_the_evaluation_grid(make_judge):
    for scores, mask in make_judge(grid=(16, 16)).masked_maps():
        assert scores.shape == mask.shape == (16, 16)


def test_the_foreground_is_on_the_evaluation_grid_too(make_judge):
    judge = make_judge()
    assert judge.foreground(0) is None
    mask = np.zeros((4, 4), np.float32)
    mask[1, 2] = 1
    masked = replace(judge.predictions, foreground=[mask] * len(judge.samples))
    for grid, side in ((None, 64), ((16, 16), 16)):
        found = replace(judge, predictions=masked, grid=grid).foreground(0)
        expected = np.kron(mask, np.ones((side // 4, side // 4))) > 0
        assert np.array_equal(found, expected)


def test_an_image_without_annotation_is_left_out_of_the_maps(make_judge, monkeypatch):
    judge = make_judge()
    read = judge.dataset.mask
    monkeypatch.setattr(judge.dataset, "mask", lambda sample: None if sample.anomalous else read(sample))
    assert len(list(judge.masked_maps())) == 3
    assert len(judge.evidence().labels) == 6


def without_masks(judge, monkeypatch, empty: int) -> None:
    """The first so many defective images have a mask that marks nothing."""
    read = judge.dataset.mask
    emptied = [sample.id for sample in judge.samples if sample.anomalous][:empty]
    monkeypatch.setattr(judge.dataset, "mask", lambda sample: read(sample) & (sample.id not in emptied))


def test_a_mask_that_marks_nothing_is_no_annotation_and_is_counted(make_judge, monkeypatch):
    judge = make_judge()
    without_masks(judge, monkeypatch, 1)
    assert [mask.any() for _, mask in judge.masked_maps()] == [False] * 3 + [True] * 2
    assert judge.facts() == {"empty_masks": 1}
    assert len(judge.evidence().labels) == 6


def test_figures_do_not_fall_where_one_mask_is_empty(make_judge, monkeypatch):
    """Scores that find every defect: a mask that marks nothing must not make false alarms of them."""
    whole, partial = make_judge(), make_judge()
    maps = [np.kron(mask, 1.0).astype(np.float32) for _, mask in whole.masked_maps()]
    perfect = replace(
        whole.predictions,
        geometry=(Geometry.whole(64, 64),) * 6,
        patches=tuple(maps),
    )
    whole, partial = replace(whole, predictions=perfect), replace(partial, predictions=perfect)
    assert whole.evidence().pixel_curve.average_precision == 1
    without_masks(partial, monkeypatch, 1)
    assert partial.evidence().pixel_curve.average_precision == 1


def test_where_all_masks_are_empty_pixel_metrics_are_undefined(make_judge, monkeypatch):
    judge = make_judge()
    without_masks(judge, monkeypatch, 3)
    assert judge.evidence().pixel_curve.auroc is None
    assert judge.facts() == {"empty_masks": 3}


@pytest.mark.parametrize(
    ("grid", "reported"), [(None, {}), ((64, 64), {"vanished_defects": 0}), ((16, 16), {"vanished_defects": 6})]
)
def test_defects_that_a_coarse_grid_would_lose_are_kept_and_counted(make_judge, monkeypatch, grid, reported):
    judge = make_judge(grid=grid)
    mask = np.zeros((64, 64), bool)
    mask[9:12, 21:24] = mask[9:12, 41:44] = True  # between the pixels 8 and 12, that a grid of 16 takes
    monkeypatch.setattr(judge.dataset, "mask", lambda sample: mask)
    assert [mask.any() for _, mask in judge.masked_maps()] == [False] * 3 + [True] * 3
    assert judge.facts() == reported


@pytest.mark.parametrize("constant", [0.1, -3.7, 1e-20, 1e30])
@pytest.mark.parametrize("grid", [None, (48, 40)])
def test_constant_maps_rank_nothing(make_judge, constant, grid):
    """Half of all pairs are right by chance, and the curve of regions is its diagonal."""
    judge = make_judge(grid=grid)
    flat = tuple(np.full((5, 7), constant, np.float32) for _ in judge.samples)
    judge = replace(judge, predictions=replace(judge.predictions, patches=flat), spec=MapSpec())
    for curve in (judge.evidence().pixel_curve, curve_on_device(judge.annotated_batches, "cpu")):
        assert (curve.auroc, curve.aupro(0.3)) == (0.5, pytest.approx(0.15))


def test_judges_share_what_they_have_read(make_judge, monkeypatch):
    seen = BoundedCache()
    first = list(make_judge(cache=seen).masked_maps())
    judge = make_judge(cache=seen)
    monkeypatch.setattr(judge.dataset, "mask", None)
    for (_, one), (_, other) in zip(first, judge.masked_maps(), strict=True):
        assert (one == other).all()


def test_another_grid_has_another_truth(make_judge):
    seen = BoundedCache()
    sizes = [mask.shape for grid in (None, (16, 16)) for _, mask in make_judge(cache=seen, grid=grid).masked_maps()]
    assert sizes == [(64, 64)] * 6 + [(16, 16)] * 6


@pytest.mark.parametrize("grid", [None, (16, 16)])
def test_a_device_measures_the_same(make_judge, grid, monkeypatch):
    judge = make_judge(grid=grid)
    curve = judge.evidence().pixel_curve
    monkeypatch.setattr("adbench.engine.evaluate.evaluator.BATCH_PIXELS", 2 * 64 * 64)
    assert max(len(maps) for maps, _ in judge.annotated_batches()) > 1
    other = curve_on_device(judge.annotated_batches, "cpu")
    assert (other.positives, other.negatives) == (curve.positives, curve.negatives)
    assert other.auroc == pytest.approx(curve.auroc, abs=1e-12)
    assert other.aupro(0.3) == pytest.approx(curve.aupro(0.3), abs=1e-12)


@pytest.mark.parametrize(("device", "chosen"), [("cpu", False), ("cuda", True), ("cuda:1", True)])
def test_a_gpu_computes_the_curve_where_there_is_one(make_judge, monkeypatch, device, chosen):
    monkeypatch.setattr("adbench.engine.evaluate.device_curve.curve_on_device", lambda _, name: name)
    curve = make_judge(device=device).evidence().pixel_curve
    assert (curve == device) is chosen


def test_a_method_without_maps_gives_none(make_judge):
    judge = make_judge(patches=False)
    assert judge.evidence().maps is None
    with pytest.raises(DataError, match="no anomaly map"):
        judge.map(0)


def test_predictions_of_other_images_are_refused(make_judge):
    with pytest.raises(DataError, match="other images"):
        make_judge(ids=tuple("abcdef"))


def metric(answer):
    class Made(Metric):
        """Answers."""

        name, level, version = "made", "image", 3

        def measure(self, evidence):
            return answer()

    return Made()


def test_a_figure_carries_its_metrics_version(make_judge):
    (info,) = measure([metric(lambda: Measure(0.5))], make_judge().evidence()).values()
    assert (info.value, info.version, info.reason) == (0.5, 3, "")


def test_an_undefined_figure_is_null_with_its_reason(make_judge):
    (info,) = measure([metric(lambda: Measure(None, "one class only"))], make_judge().evidence()).values()
    assert (info.value, info.reason) == (None, "one class only")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_refused(make_judge, value):
    with pytest.raises(ContractError, match="metric 'made'.*None with a reason"):
        measure([metric(lambda: Measure(value))], make_judge().evidence())


def test_a_metric_that_answers_nonsense_is_named(make_judge):
    with pytest.raises(ContractError, match=r"metric 'made'.*must return Measure, got float"):
        measure([metric(lambda: 0.5)], make_judge().evidence())
