from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from adbench import GOOD, DataError, Dataset, Geometry, Sample, UsageError
from adbench.builtin.metrics_image import ImageAuroc
from adbench.engine.evaluate.evaluator import Evaluator
from adbench.engine.evaluate.holdout import HoldoutSplit
from adbench.engine.evaluate.sweep import MeanFigure, Run, Setting, Sweep, decide, require_aggregable, whole_part
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import Part
from adbench.engine.store.predictions import Predictions

OWN = Setting(Part(name="max"), MapSpec())
MEAN = OWN._replace(aggregate=Part(name="mean"))


class Unread:
    """A dataset of which nothing is read, and that has none of the optional knowledge."""

    title = "dataset 'unread'"
    regions, ignored, specimen = Dataset.regions, Dataset.ignored, Dataset.specimen
    judges_marks = False


def one_run(category, highs, lows=None, split=None, seed=0):
    """Two good and two defective images; `highs` are their highest patches, `lows` all others."""
    samples = [Sample(f"{category}/{place}", kind) for place, kind in enumerate([GOOD, GOOD, "hole", "hole"])]
    grids = [np.array([[high, low]], np.float32) for high, low in zip(highs, lows or [0] * 4, strict=True)]
    scores = np.array(highs, np.float32)
    message = Predictions(tuple(sample.id for sample in samples), (Geometry.whole(8, 8),) * 4, scores, grids)
    task = SimpleNamespace(category=category, seed=seed)
    record = SimpleNamespace(id=f"{category}{seed}", task=task, recipe=SimpleNamespace(spec={"masker": []}))
    judge = Evaluator(Unread(), samples, message, MapSpec(), None)
    return Run(record, judge, split or HoldoutSplit((0, 1, 2, 3), (0, 1, 2, 3)))


def sweep(registry, *runs):
    return Sweep(registry, runs, OWN)


def test_the_mean_is_over_categories_of_the_mean_over_seeds(registry):
    right, wrong = [1, 2, 3, 4], [3, 4, 1, 2]
    runs = [
        one_run("bolt", right),
        one_run("bolt", right, seed=1),
        one_run("bolt", wrong, seed=2),
        one_run("nut", wrong),
    ]
    (mean,) = sweep(registry, *runs).means(OWN, [ImageAuroc()], "reporting").values()
    assert mean.value == pytest.approx((2 / 3 + 0) / 2)


def test_only_images_of_a_role_are_looked_at(registry):
    run = one_run("bolt", [1, 9, 5, 7], split=HoldoutSplit((0, 2), (1, 3)))
    trial = sweep(registry, run)
    for role, value in (("choosing", 1.0), ("reporting", 0.0)):
        assert trial.means(OWN, [ImageAuroc()], role) == {"image-auroc": MeanFigure(value)}


def test_the_choosing_images_choose_though_the_others_would_not(registry):
    """On images 0 and 2 the mean is right and the maximum wrong, on 1 and 3 the other way round."""
    run = one_run("bolt", [5, 1, 4, 2], [0, 9, 9, 0], split=HoldoutSplit((0, 2), (1, 3)))
    ranking = sweep(registry, run).rank("aggregate", [MEAN], ImageAuroc())
    assert [(one.setting, one.value) for one in ranking.tried] == [(MEAN, 1.0), (OWN, 0.0)]
    report = decide(sweep(registry, run), [ranking], [ImageAuroc()], oracle=False)
    assert report.chosen == MEAN
    assert (report.own_means, report.chosen_means) == (
        {"image-auroc": MeanFigure(1.0)},
        {"image-auroc": MeanFigure(0.0)},
    )
    assert (report.images("choosing"), report.images("reporting")) == (2, 2)


def test_one_choice_holds_for_all_categories(registry):
    better_by_mean = one_run("bolt", [5, 5, 4, 4], [0, 0, 9, 9])
    better_by_max = [one_run(name, [1, 1, 2, 2], [9, 9, 0, 0]) for name in ("nut", "pin")]
    ranking = sweep(registry, better_by_mean, *better_by_max).rank("aggregate", [MEAN], ImageAuroc())
    assert [(one.setting, round(one.value, 3)) for one in ranking.tried] == [(OWN, 0.667), (MEAN, 0.333)]


def test_the_recipes_own_setting_is_tried_once_and_first_among_equals(registry):
    ranking = sweep(registry, one_run("bolt", [1, 2, 3, 4])).rank("aggregate", [MEAN, OWN, MEAN], ImageAuroc())
    assert [one.setting for one in ranking.tried] == [OWN, MEAN]


def test_an_undefined_figure_chooses_nothing_and_is_reported_as_such(registry):
    run = one_run("bolt", [1, 2, 3, 4], split=HoldoutSplit((0, 1), (0, 1, 2, 3)))
    with pytest.raises(DataError, match="image-auroc cannot choose: bolt: "):
        sweep(registry, run).rank("aggregate", [MEAN], ImageAuroc())
    turned = one_run("bolt", [1, 2, 3, 4], split=HoldoutSplit((0, 1, 2, 3), (0, 1)))
    mean = sweep(registry, turned).means(OWN, [ImageAuroc()], "reporting")["image-auroc"]
    assert mean.value is None
    assert mean.reason.startswith("bolt: ")


def test_an_aggregator_that_reads_the_map_is_asked_again_for_each_map(registry):
    """A wide Gaussian makes the map of 8 x 8 pixels even: its highest pixel is nearly the mean of the patches."""
    run = one_run("bolt", [5, 5, 4, 4], [0, 0, 9, 9])
    maximum = whole_part(Part(name="map-top-fraction", options={"fraction": 0}), registry)
    trial = sweep(registry, run)
    sharp, even = (Setting(maximum, MapSpec(sigma=sigma)) for sigma in (0, 100))
    scores = {setting.map.sigma: trial._image_scores(run, setting).tolist() for setting in (sharp, even)}
    assert scores[0] == pytest.approx([5, 5, 9, 9])
    assert scores[100] == pytest.approx([2.5, 2.5, 6.5, 6.5], abs=0.05)
    assert trial._image_scores(run, sharp).tolist() == scores[0]


def test_options_are_written_out(registry):
    assert whole_part(Part(name="quantile"), registry) == whole_part(
        Part(name="quantile", options={"q": "0.99"}), registry
    )


def test_what_no_run_keeps_is_refused(registry):
    scorer = SimpleNamespace(gives=lambda _: frozenset({"patches", "image"}), config=None, title="scorer 'both'")
    both = Part(name="local-global")
    with pytest.raises(UsageError, match="run the recipe with --aggregate scorer first"):
        require_aggregable(both, Part(name="max"), scorer, registry)
    require_aggregable(both, Part(name="scorer"), scorer, registry)
    with pytest.raises(UsageError, match="would ignore"):
        require_aggregable(Part(name="max"), Part(name="scorer"), scorer, registry)
