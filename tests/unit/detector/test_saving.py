"""Detectors of runs: what lies beside a record is what was measured, whoever ran the unit."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import adbench as ad
from adbench import Source
from adbench.builtin.executors import Inline
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.stages.necks import L2
from adbench.detector import saving
from adbench.detector.detector import Detector
from adbench.engine.plan.plan import Branch
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.run.orders import Callbacks, run_order
from adbench.engine.store.predictions import read_predictions
from adbench.errors import UsageError
from adbench.executor import Ending, Executor
from adbench.registration.registry import installed

METHODS = [
    ("full", "knn"),
    ("coreset:fraction=0.2", "knn:k=2,reweight=3"),
    ("padim:dim=3", "mahalanobis"),
    ("whitened", "mahalanobis"),
    ("subspace", "residual"),
    ("autoencoder:steps=5", "residual"),
]
THRESHOLD = "quantile:alpha=0.1"


class Elsewhere(Executor):
    """Runs jobs here as if it were elsewhere: only texts go to and fro."""

    name = "elsewhere"

    def run(self, work, jobs):
        return (Ending(job, work(job.order)) for job in jobs)


@pytest.fixture
def run(parts, tmp_path, toys):
    """Runs a method on one category, and keeps its detector."""

    def run(category="bolt", **options):
        given = {"data": parts, "category": category, "out": tmp_path / "runs", "figures": False, "save": True}
        return ad.run(**{**given, "threshold": THRESHOLD, **toys, **options})

    return run


@pytest.fixture
def bolt(parts):
    """A branch of one unit."""
    recipe = complete(
        Recipe.model_validate({"name": "toy", "backbone": "toy-pixels", "scorer": "toy-nearest"}), installed()
    )
    return Branch((Unit(recipe, Folder(root=parts), "bolt", 0, Protocol()),))


def scores_of(detector, outcome, parts):
    """The scores and patch scores by the detector of the run's test images, and those of the run."""
    run = read_predictions(outcome.folder, outcome.record.predictions)
    found = list(detector.predict([(parts / name).with_suffix(".png") for name in run.ids]))
    return [(one.score, one.patches) for one in found], list(zip(run.scores, run.patches, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("bank", "scorer"), METHODS, ids=[bank for bank, _ in METHODS])
def test_the_detector_gives_the_scores_of_the_run(run, parts, quick, bank, scorer):
    known = {(entry.kind, entry.name) for entry in installed().entries()}
    if {("bank", bank.partition(":")[0]), ("scorer", scorer.partition(":")[0])} - known:
        pytest.skip("its plugin is not installed")
    results = run(bank=bank, scorer=scorer)
    assert [record.status for record in results] == ["ok"]
    detector = results.detector(**quick)
    here, there = scores_of(detector, results.outcomes[0], parts)
    assert [score for score, _ in here] == [score for score, _ in there]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(here, there, strict=True))
    assert detector.threshold().value == results.outcomes[0].threshold.value


def test_it_is_the_detector_of_a_fit_on_the_same_images(run, parts, toys, quick):
    kept, fitted = run().detector(**quick), Detector(**toys).fit(parts / "bolt", threshold=THRESHOLD)
    assert np.array_equal(kept.normal_scores, fitted.normal_scores)
    assert np.array_equal(kept.state.calibration.peaks, fitted.state.calibration.peaks)
    assert kept.threshold() == fitted.threshold()
    assert kept.about.id == fitted.about.id
    assert kept.about.learned == fitted.about.learned
    assert [(one.name, one.sha256) for one in kept.about.images] == [
        (one.name, one.sha256) for one in fitted.about.images
    ]


def test_it_holds_the_figures_and_the_id_of_its_record(run, quick):
    results = run()
    figures = results.detector(**quick).about.figures
    assert figures.record == results[0].id
    assert figures.metrics == results[0].metrics
    assert (figures.on, figures.normal, figures.abnormal) == ("parts/bolt", 3, 3)
    assert f"record {results[0].id[:12]}" in results.detector(**quick).facts()["measured on parts/bolt"]


def test_the_record_and_its_raw_scores_are_those_of_a_run_without_it(run, tmp_path):
    [plain], [kept] = run(save=False, out=tmp_path / "plain", threshold="conformal"), run(threshold="conformal")
    assert kept.id == plain.id
    assert kept.metrics == plain.metrics
    assert kept.predictions.sha256 == plain.predictions.sha256


def test_with_too_few_images_for_the_rule_the_detector_still_gives_p_values(run, parts, quick):
    results = run(threshold="conformal")
    detector = results.detector(**quick)
    assert results.outcomes[0].threshold.value is None
    assert detector.threshold().value is None
    assert "needs 19 normal images" in detector.threshold().reason
    assert detector.predict(parts / "bolt" / "test" / "spot" / "000.png").p_value == 1 / 5


def test_a_run_without_thresholds_keeps_a_detector_that_says_so(run, quick):
    detector = run(threshold=None).detector(**quick)
    assert "--threshold none" in detector.threshold().reason
    assert len(detector.normal_scores) == 0


def test_units_that_share_a_fit_or_their_scores_each_keep_their_own_method(run, parts, quick):
    results = run(scorer="knn:k=1", bank="full", seeds=(0, 1))
    assert [detector.about.seed for detector in results.detectors(**quick)] == [0, 1]
    for place, outcome in enumerate(results.outcomes):
        here, there = scores_of(results.detector(place, **quick), outcome, parts)
        assert [score for score, _ in here] == [score for score, _ in there]


@pytest.mark.parametrize(
    "options",
    [
        {"bank": "toy-test-vectors", "protocol": Protocol(allow=(Source.TEST,))},
        {"aggregate": "rscin", "neck": "image-statistics"},
    ],
)
def test_a_method_that_is_no_detector_says_so_and_its_run_succeeds(run, options):
    results = run(**options)
    assert [record.status for record in results] == ["ok"]
    assert "makes no detector" in results.outcomes[0].no_detector
    assert results.outcomes[0].detector is None
    with pytest.raises(UsageError, match=r"bolt.* has no detector: recipe .* makes no detector"):
        results.detector()


def test_a_neck_that_cannot_keep_what_it_learned_costs_no_result(run, monkeypatch):
    monkeypatch.setattr(L2, "learns", True)
    results = run(neck="l2")
    assert results[0].status == "ok"
    assert "a detector with it cannot be saved" in results.outcomes[0].no_detector


def test_a_finished_unit_says_that_it_has_no_detector(run, quick):
    run(save=False)
    results = run()
    assert results.outcomes[0].fresh is False
    assert "give --redo with --save" in results.outcomes[0].no_detector
    with pytest.raises(UsageError, match="give --redo with --save"):
        results.detector()
    again = run(redo=True)
    assert again.detector(**quick).about.figures.record == results[0].id
    assert run().outcomes[0].no_detector == ""
    assert run().outcomes[0].detector == again.outcomes[0].detector


def test_a_run_without_the_wish_keeps_nothing(run):
    results = run(save=False)
    assert not (results.outcomes[0].folder / "detector.adbench").exists()
    with pytest.raises(UsageError, match="run with save=True"):
        results.detector()
    assert list(results.detectors()) == []


@pytest.mark.parametrize("executor", [Inline, Elsewhere])
def test_the_wish_travels_in_the_order_and_the_worker_writes_the_file(executor, bolt, tmp_path, quick):
    settings = Settings(tmp_path / "runs", device="cpu", runtime="torch", figures=False, save=True)
    dispatcher = saving.dispatcher_of(installed(), settings, executor(), Callbacks())
    dispatcher.run([bolt])
    [outcome] = dispatcher.outcomes
    assert outcome.no_detector == ""
    assert Detector.load(outcome.detector, **quick).about.figures.record == outcome.record.id


def test_an_order_without_the_wish_writes_no_detector(bolt, tmp_path):
    settings = Settings(tmp_path / "runs", device="cpu", runtime="torch", figures=False)
    dispatcher = saving.dispatcher_of(installed(), settings, Elsewhere(), Callbacks())
    dispatcher.run([bolt])
    assert dispatcher.outcomes[0].detector is None


def test_a_worker_that_cannot_write_detectors_says_so(bolt, tmp_path):
    settings = Settings(tmp_path / "runs", device="cpu", runtime="torch", figures=False, save=True)
    dispatcher = saving.dispatcher_of(installed(), settings, Elsewhere(), Callbacks())
    dispatcher.work = run_order
    dispatcher.run([bolt])
    assert dispatcher.outcomes[0].well
    assert "cannot write detectors" in dispatcher.outcomes[0].no_detector


def test_no_path_of_this_machine_is_in_the_file(run, tmp_path):
    with zipfile.ZipFile(run().outcomes[0].detector) as file:
        content = json.loads(file.read("detector.json"))
        assert str(tmp_path) not in json.dumps(content)
