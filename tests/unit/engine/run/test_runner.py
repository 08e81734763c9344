import gc
import shutil
import signal
import threading
import time
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from adbench import (
    Aggregator,
    DataError,
    Masker,
    Neck,
    Scores,
    Source,
    StorageError,
    UsageError,
    Weights,
    WeightsError,
    hookimpl,
)
from adbench.api.search.shared_results import shared_results
from adbench.builtin.toy import ToyMahalanobis, ToyNearest, ToyPixels, ToyTestVectors, ToyVectors
from adbench.engine.evaluate.details import read_details
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.threshold_rule import Rule, sigma
from adbench.engine.process.interrupts import Stopped
from adbench.engine.run import result_writer
from adbench.engine.run.runner import Runner, Settings, choose_device
from adbench.engine.store.predictions import read_predictions
from adbench.engine.store.record import find_runs, read_record


@pytest.fixture
def make_runner(registry, tmp_path):
    def make(*classes, **settings):
        for cls in classes:
            registry.add_component(cls, "made", "1")
        return Runner(registry, Settings(tmp_path / "runs", figures=False, **settings))

    return make


class Loading(ToyPixels):
    """Counts how often it is loaded."""

    name = "loading"
    loaded = 0

    def prepare(self, ctx):
        type(self).loaded += 1


class Raising(ToyVectors):
    """Raises what the test says."""

    name = "raising"
    error = None

    def fit(self, features, ctx):
        if self.error is not None:
            raise self.error
        super().fit(features, ctx)


@pytest.fixture
def raising(monkeypatch):
    return lambda error: monkeypatch.setattr(Raising, "error", error)


def test_a_unit_ends_as_a_record_on_disk(make_runner, make_unit):
    outcome = make_runner().run(make_unit())
    assert (outcome.record.status, outcome.fresh, outcome.unsaved, outcome.notes) == ("ok", True, None, ())
    assert read_record(outcome.folder) == outcome.record
    assert make_runner().run(make_unit()).fresh is False


@pytest.mark.slow
def test_a_record_counts_the_images_of_which_the_masker_left_nothing(make_runner, make_unit):
    for width, whole in ((1, 0), (99, 1)):
        masker = {"border": {"width": width, "bank": "drop"}}
        record = make_runner().run(make_unit(masker=masker, bank="toy-vectors", scorer="toy-nearest")).record
        counts = {"seen_whole_train": record.task.train * whole, "seen_whole_test": record.task.test * whole}
        assert counts.items() <= record.facts.items()
    kept = make_runner().run(make_unit(masker={"border": {"width": 99}})).record
    assert "seen_whole_train" not in kept.facts, "normal images are learned from without a masker"
    assert kept.facts["seen_whole_test"] == kept.task.test
    assert "seen_whole_test" not in make_runner().run(make_unit()).record.facts


@pytest.mark.slow
def test_masks_that_mark_nothing_and_defects_that_a_grid_would_lose_are_counted_and_said_once(
    make_runner, make_unit, parts
):
    first, second, *_ = sorted((parts / "bolt" / "ground_truth").glob("*/*.png"))
    drawn = np.zeros((64, 64), np.uint8)
    Image.fromarray(drawn).save(first)
    drawn[9:12, 21:24] = 255
    Image.fromarray(drawn).save(second)
    reported: list[str] = []
    runner = make_runner()
    runner.note = reported.append
    record = runner.run(make_unit(protocol=Protocol(evaluation=16))).record
    assert (record.facts["vanished_defects"], record.facts["empty_masks"]) == (1, 1)
    assert record.metrics["pixel-auroc"].value is not None
    runner.run(make_unit(protocol=Protocol(evaluation=16), seed=1))
    empty, vanished = reported
    assert "have a mask that marks nothing, such as bolt/test/" in empty
    assert vanished.startswith("1 defect would vanish on 16x16 pixels; the masks there mark every pixel")
    whole = runner.run(make_unit()).record
    assert "vanished_defects" not in whole.facts
    assert whole.facts["empty_masks"] == 1


class Oracle(ToyNearest):
    """Says what the names of the images say, and notes them."""

    name = "oracle"
    names: ClassVar[list[str]] = []

    def score(self, query, bank):
        type(self).names.extend(query.ids)
        labels = torch.tensor([float("spot" in name) for name in query.ids])
        return Scores(patches=labels[:, None, None].expand(query.patches.shape[:3]).clone())


class Nosy(ToyVectors):
    """Notes every text that it can find in what it is given, and what an error says."""

    name = "nosy"
    texts: ClassVar[list[str]] = []

    def fit(self, features, ctx):
        held = [getattr(features, name) for name in dir(features) if not name.startswith("__")]
        type(self).texts += [repr(held), repr(ctx), *features.ids]
        try:
            super().fit(features, ctx)
        except Exception as error:
            type(self).texts.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
            raise


def test_no_component_learns_a_label_from_a_name_or_a_place(make_runner, make_unit):
    Oracle.names.clear()
    runner = make_runner(Oracle)
    record = runner.run(make_unit(bank="toy-vectors", scorer="oracle")).record
    assert record.metrics["image-auroc"].value == 0.5
    assert Oracle.names == sorted(Oracle.names), "the order is that of the aliases, which are hashes"
    assert not any(word in name for name in Oracle.names for word in ("bolt", "test", "good", "spot", "/"))


def test_predictions_stand_under_the_ids_of_the_dataset_in_their_order(make_runner, make_unit):
    unit = make_unit()
    outcome = make_runner().run(unit)
    predictions = read_predictions(outcome.folder, outcome.record.predictions)
    assert predictions.ids == tuple(sample.id for sample in unit.dataset.split("bolt").test)
    assert outcome.record.metrics["pixel-auroc"].value > 0.9


def test_an_image_has_one_name_in_the_bank_and_in_the_query(make_runner, make_unit):
    Oracle.names.clear()

    class Remembering(ToyTestVectors):
        name = "remembering"
        seen = ()

        def fit(self, features, ctx):
            type(self).seen = tuple(features.ids)
            super().fit(features, ctx)

    runner = make_runner(Oracle, Remembering)
    unit = make_unit(bank="remembering", scorer="oracle", protocol=Protocol(allow=(Source.TEST,)))
    assert runner.run(unit).record.status == "ok"
    assert list(Remembering.seen) == Oracle.names


def test_no_path_reaches_a_bank_not_even_in_an_error(make_runner, make_unit, parts):
    (parts / "bolt" / "train" / "good" / "002.png").write_bytes(b"no image")
    Nosy.texts.clear()
    runner = make_runner(Nosy)
    outcome = runner.run(make_unit(bank="nosy", scorer="toy-nearest"))
    assert outcome.record.status == "failed"
    assert "train/good/002.png" in outcome.record.reason
    assert len(Nosy.texts) > 3
    assert not any(word in text for text in Nosy.texts for word in ("bolt", "good", str(parts)))


def test_a_reason_names_images_as_the_dataset_does(make_runner, make_unit):
    class Unsure(ToyNearest):
        name = "unsure"

        def score(self, query, bank):
            scores = super().score(query, bank)
            scores.patches[0] = torch.nan
            return scores

    runner = make_runner(Unsure)
    record = runner.run(make_unit(bank="toy-vectors", scorer="unsure")).record
    assert "NaN or infinity for bolt/test/" in record.reason


@pytest.mark.slow
def test_a_record_names_test_images_that_are_training_images(make_runner, make_unit, parts):
    assert make_runner().run(make_unit()).record.task.duplicates == []
    shutil.copy(parts / "nut/train/good/001.png", parts / "nut/test/good/twin.png")
    shutil.copy(parts / "nut/train/good/001.png", parts / "nut/train/good/twin.png")
    record = make_runner().run(make_unit(category="nut")).record
    assert record.task.duplicates == ["nut/test/good/twin"]
    assert record.facts["repeated_train"] == 2


@pytest.mark.slow
def test_a_record_says_whether_anything_was_drawn(make_runner, make_unit):
    class Drawing(ToyMahalanobis):
        name = "drawing"

        def score(self, query, bank):
            torch.rand(1)
            return super().score(query, bank)

    runner = make_runner(Drawing)
    for scorer, drew in (("toy-mahalanobis", False), ("drawing", True)):
        record = runner.run(make_unit(bank="toy-gaussian", scorer=scorer)).record
        assert (record.status, record.drew) == ("ok", drew)


class Untrained(Masker):
    """Sees everything, with weights that were never trained."""

    name = "untrained"

    def mask(self, features):
        return torch.ones(features.patches.shape[:3], dtype=torch.bool)

    def weights(self):
        return (Weights("random:7", "0" * 64),)


class UntrainedBank(ToyVectors):
    """Loads weights of its own, which were never trained."""

    name = "untrained"

    def weights(self):
        return (Weights("random:7", "0" * 64),)


@pytest.mark.parametrize("slot", ["masker", "bank"])
def test_a_record_knows_the_weights_of_the_parts_after_the_backbone(slot, make_runner, make_unit):
    runner = make_runner(Untrained, UntrainedBank)
    record = runner.run(make_unit(**{slot: "untrained"})).record
    assert "random:7" in [weights.name for weights in record.provenance.weights]
    assert record.regime.random_weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (MemoryError(), "out-of-memory", "out of memory on cpu (no details)"),
        (MemoryError("Unable to allocate 9 TiB\nmore"), "out-of-memory", "(Unable to allocate 9 TiB)"),
        (UsageError("k is too large"), "failed", "k is too large"),
        (OSError(5, "broken"), "failed", "bank 'raising' raised OSError in fit()"),
    ],
)
def test_what_goes_wrong_is_in_the_record(make_runner, make_unit, raising, error, status, words):
    raising(error)
    outcome = make_runner(Raising).run(make_unit(bank="raising"))
    assert outcome.record.status == status
    assert words in outcome.record.reason
    assert read_record(outcome.folder) == outcome.record


def test_the_next_run_takes_a_failures_place(make_runner, make_unit, raising):
    raising(UsageError("no"))
    runner = make_runner(Raising)
    failed = runner.run(make_unit(bank="raising"))
    raising(None)
    assert runner.run(make_unit(bank="raising")).record == failed.record, "not unless that is asked for"
    done = make_runner(retry=("failed",)).run(make_unit(bank="raising"))
    assert (done.folder, done.record.id) == (failed.folder, failed.record.id)
    assert [read_record(folder).status for folder in find_runs(runner.settings.out)] == ["ok"]


def test_a_failed_redo_does_not_cost_the_result(make_runner, make_unit, raising):
    before = make_runner(Raising, redo=True).run(make_unit(bank="raising"))
    raising(UsageError("no"))
    after = make_runner(redo=True).run(make_unit(bank="raising"))
    assert after.record.status == "failed"
    assert read_record(before.folder) == before.record


def test_missing_weights_stop_everything(make_runner, make_unit, raising):
    raising(WeightsError("not there"))
    with pytest.raises(WeightsError):
        make_runner(Raising).run(make_unit(bank="raising"))


def test_a_bug_of_our_own_costs_its_unit_and_is_not_hidden(make_runner, make_unit, monkeypatch):
    monkeypatch.setattr("adbench.engine.run.scoring.split_scores", lambda *_: 1 / 0)
    outcome = make_runner().run(make_unit())
    assert outcome.record.status == "failed"
    assert "adbench raised ZeroDivisionError: division by zero" in outcome.record.reason
    assert "ZeroDivisionError" in (outcome.folder / "traceback.txt").read_text()


def test_the_backbone_stays_loaded_until_it_would_be_another(make_runner, make_unit):
    Loading.loaded = 0
    runner = make_runner(Loading)
    for category, seed, cell in (("bolt", 0, 8), ("nut", 0, 8), ("bolt", 1, 8), ("bolt", 1, 16)):
        runner.run(make_unit(category=category, seed=seed, backbone={"loading": {"cell": cell}}))
    assert Loading.loaded == 2, "once for each option: it is told the same whatever the seed"


def test_a_backbone_whose_weights_crash_is_named(make_runner, make_unit):
    class Weightless(ToyPixels):
        """Has no weights() that works."""

        name = "weightless"

        def weights(self):
            raise AttributeError("not prepared")

    outcome = make_runner(Weightless).run(make_unit(backbone="weightless"))
    assert "backbone 'weightless' raised AttributeError in weights()" in outcome.record.reason


def test_weights_are_in_the_record_even_of_a_failure(make_runner, make_unit, raising):
    class Untrained(ToyPixels):
        """Never trained."""

        name = "untrained"

        def weights(self):
            return (Weights("random:0", "0" * 64),)

    raising(UsageError("no"))
    record = make_runner(Untrained, Raising).run(make_unit(backbone="untrained", bank="raising")).record
    assert record.regime.random_weights
    assert record.provenance.weights[0].name == "random:0"


def test_a_dataset_that_crashes_is_named(make_runner, make_unit, monkeypatch):
    unit = make_unit()
    monkeypatch.setattr(unit.dataset, "image", lambda sample: 1 / 0)
    assert "dataset 'folder' raised ZeroDivisionError in image()" in make_runner().run(unit).record.reason
    monkeypatch.setattr(unit.dataset, "split", lambda category: 1 / 0)
    assert "dataset 'folder' raised ZeroDivisionError in split()" in make_runner().run(unit).record.reason


def test_a_bank_of_the_test_set_costs_one_look_at_it(make_runner, make_unit):
    seen = []

    class Seeing(ToyPixels):
        """Notes what it sees."""

        name = "seeing"

        def extract(self, batch):
            seen.extend(batch.ids)
            return super().extract(batch)

    runner = make_runner(Seeing)
    unit = make_unit(backbone="seeing", bank="toy-test-vectors", protocol=Protocol(allow=(Source.TEST,)))
    assert runner.run(unit).record.status == "ok"
    assert len(seen) == len(set(seen)) == len(unit.dataset.split("bolt").test)


@pytest.mark.slow
def test_features_of_the_training_images_are_let_go_before_scoring(make_runner, make_unit):
    kept = []

    class Learning(Neck):
        """Walks over the training images, which are kept for the bank."""

        name, learns = "learning", True

        def fit(self, features, ctx):
            kept.extend(weakref.ref(part.patches) for part in features)

        def apply(self, features):
            return features

    class Checking(ToyNearest):
        """Looks whether they are still there."""

        name = "checking"

        def score(self, query, bank):
            gc.collect()
            assert [ref for ref in kept if ref() is not None] == []
            return super().score(query, bank)

    record = make_runner(Learning, Checking).run(make_unit(neck=["learning"], scorer="checking")).record
    assert record.status == "ok", record.reason
    assert kept


def test_a_full_scratch_folder_costs_time_and_no_result(make_runner, make_unit, monkeypatch):
    class Twice(ToyVectors):
        """Walks twice, so that features are kept."""

        name, passes = "twice", 2

    def full(*_):
        raise OSError(28, "No space left on device")

    message = []
    monkeypatch.setattr("adbench.engine.features.feature_cache._write", full)
    runner = make_runner(Twice)
    runner.note = message.append
    assert runner.run(make_unit(bank="twice")).record.status == "ok"
    (note,) = message
    assert "no features are kept" in note
    assert "No space left on device" in note


class Slow(ToyVectors):
    """Sleeps with a half-read stream in its hands."""

    name = "slow"

    def fit(self, features, ctx):
        for _ in features:
            time.sleep(60)


@pytest.mark.slow
@pytest.mark.parametrize("bank", ["slow", "raising"])
def test_a_unit_that_fails_leaves_no_thread_and_no_scratch(
    make_runner, make_unit, raising, tmp_path, monkeypatch, bank
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    raising(ValueError("no"))
    before = threading.active_count()
    runner = make_runner(Slow, Raising, timeout=0.5, batch_size=1)
    outcome = runner.run(make_unit(bank=bank))
    runner.close()
    assert outcome.record.status == ("timeout" if bank == "slow" else "failed")
    assert threading.active_count() == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_writing_is_not_under_the_deadline(make_runner, make_unit, monkeypatch):
    alarms = []
    written = result_writer.write_record

    def noting(folder, record):
        alarms.append(signal.getitimer(signal.ITIMER_REAL)[0])
        written(folder, record)

    monkeypatch.setattr(result_writer, "write_record", noting)
    assert make_runner(timeout=600).run(make_unit()).record.status == "ok"
    assert alarms == [0]


def test_what_cannot_be_written_is_handed_back(make_runner, make_unit, monkeypatch):
    def full(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr("adbench.engine.run.result.write_predictions", full)
    outcome = make_runner().run(make_unit())
    assert outcome.record.status == "ok"
    assert "disk is full" in str(outcome.unsaved)
    assert find_runs(outcome.folder.parent) == []


def test_trackers_hear_of_every_unit_and_cost_nothing(make_runner, make_unit, registry):
    calls = []

    class Broken:
        @hookimpl
        def job_finished(self, record):
            raise RuntimeError("down")

    class Listening:
        @hookimpl
        def job_finished(self, record, folder):
            calls.append((record["status"], folder, (folder / "record.json").is_file()))

    registry.load("broken-dist", "1", Broken())
    registry.load("listening-dist", "1", Listening())
    outcome = make_runner().run(make_unit())
    assert outcome.record.status == "ok"
    assert outcome.notes == ("plugin 'broken-dist': its job_finished hook raised RuntimeError: down",)
    assert calls == [("ok", outcome.folder, True)], "one that raises does not silence the others"


def test_trackers_get_no_folder_of_a_record_that_is_not_there(make_runner, make_unit, registry, raising, monkeypatch):
    calls = []

    class Listening:
        @hookimpl
        def job_finished(self, record, folder):
            calls.append((record["status"], folder))

    def full(*_):
        raise StorageError("the disk is full")

    registry.load("listening-dist", "1", Listening())
    outcome = make_runner(Raising).run(make_unit(bank="raising"))
    raising(ValueError("no"))
    make_runner(redo=True).run(make_unit(bank="raising"))
    raising(None)
    monkeypatch.setattr("adbench.engine.run.result.write_predictions", full)
    make_runner(redo=True).run(make_unit(bank="raising"))
    assert calls == [("ok", outcome.folder), ("failed", None), ("ok", None)]


def test_no_usable_training_image_is_a_record(make_runner, make_unit, monkeypatch):
    def refuse(*_, **__):
        raise DataError("nothing there")

    monkeypatch.setattr("adbench.engine.run.runner.make_task", refuse)
    record = make_runner().run(make_unit()).record
    assert (record.status, record.reason) == ("failed", "nothing there")


@pytest.mark.slow
def test_a_seed_gives_the_same_bits(make_runner, make_unit):
    runner = make_runner(redo=True)
    first, again, other = (runner.run(make_unit(seed=seed)).record for seed in (3, 3, 4))
    assert first.predictions == again.predictions
    assert first.predictions != other.predictions


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="--device cpu"):
        choose_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert (choose_device("auto"), choose_device("cpu")) == ("cuda", "cpu")


class Recalling(ToyVectors):
    """Takes an hour, or recalls what it did in it."""

    name = "recalling"

    def fit(self, features, ctx):
        shared = shared_results()
        if shared is not None:
            if "hour" in shared:
                shared.charge(3600)
            shared.put("hour", "spent", 1)
        super().fit(features, ctx)


@pytest.mark.slow
def test_recalled_work_is_charged_but_did_not_pass(make_runner, make_unit):
    runner = make_runner(Recalling)
    with runner.together(2):
        costs = [runner.run(make_unit(bank="recalling", seed=seed)).record.cost for seed in range(2)]
    assert [cost.fit_s >= 3600 for cost in costs] == [False, True]
    assert all(cost.wall_s < 60 for cost in costs)


class Counting(ToyMahalanobis):
    """Counts what it scores."""

    name = "counting"
    batches = 0

    def score(self, features, bank):
        type(self).batches += 1
        return super().score(features, bank)


class Drawing(Counting):
    """Draws something, whatever for."""

    name = "drawing"
    batches = 0

    def prepare(self, ctx):
        ctx.rng(self.name)


@pytest.mark.slow
@pytest.mark.parametrize(("scorer", "times"), [(Counting, 1), (Drawing, 2)])
def test_what_draws_nothing_is_not_done_again_for_another_seed(make_runner, make_unit, monkeypatch, scorer, times):
    runner = make_runner(scorer)
    units = [make_unit(bank="toy-gaussian", scorer=scorer.name, seed=seed) for seed in range(3)]
    alone = runner.run(units[2]).record
    monkeypatch.setattr(scorer, "batches", 0)
    with runner.together(2):
        first, second = (runner.run(unit).record for unit in units[:2])
    assert scorer.batches == times, "of one batch of images"
    assert first.metrics == second.metrics == alone.metrics
    assert (first.cost.fit_s == second.cost.fit_s) == (times == 1), "each is charged what it takes"
    assert first.id != second.id


@pytest.mark.slow
def test_what_was_drawn_for_a_bank_that_another_scorer_fitted_counts(make_runner, make_unit):
    units = [make_unit(scorer={"toy-nearest": {"k": k}}, seed=seed) for seed in (0, 1) for k in (1, 2)]
    alone = [make_runner(redo=True).run(unit).record.metrics for unit in units]
    runner = make_runner(redo=True)
    with runner.together(4):
        assert [runner.run(unit).record.metrics for unit in units] == alone


@pytest.mark.slow
def test_a_threshold_is_each_seeds_own(make_runner, make_unit):
    runner = make_runner(threshold=Rule("sigma"))
    with runner.together(2):
        outcomes = [runner.run(make_unit(bank="toy-gaussian", scorer="toy-mahalanobis", seed=seed)) for seed in (0, 1)]
    message = [read_predictions(outcome.folder, outcome.record.predictions) for outcome in outcomes]
    assert message[0].scores.tolist() == message[1].scores.tolist()
    assert message[0].normal.values.tolist() != message[1].normal.values.tolist()


def test_maps_are_made_anew_from_what_was_said(make_runner, make_unit, monkeypatch):
    monkeypatch.setattr(Drawing, "batches", 0)
    runner = make_runner(Drawing)
    parts = {"bank": "toy-gaussian", "scorer": "drawing"}
    with runner.together(2):
        sharp, smooth = (runner.run(make_unit(**parts, map={"sigma": sigma})).record for sigma in (0.0, 4.0))
    assert Drawing.batches == 1
    assert sharp.predictions == smooth.predictions
    assert sharp.metrics["pixel-auroc"] != smooth.metrics["pixel-auroc"]


class HighestOfMap(Aggregator):
    """The highest score of the map."""

    name, reads = "highest-of-map", "map"

    def aggregate(self, scores):
        return torch.stack([image.need_map(self.title).max() for image in scores])


@pytest.mark.slow
def test_an_aggregator_that_reads_the_map_gets_the_map_of_its_own_recipe(make_runner, make_unit):
    units = [make_unit(aggregate="highest-of-map", map={"sigma": sigma}) for sigma in (0.0, 4.0)]
    alone = [make_runner(HighestOfMap, redo=True).run(unit) for unit in units[:1]]
    alone.append(make_runner(redo=True).run(units[1]))
    runner = make_runner(redo=True)
    with runner.together(2):
        shared = [runner.run(unit) for unit in units]
    assert [one.record.status for one in shared] == ["ok", "ok"]
    assert [one.record.predictions for one in shared] == [one.record.predictions for one in alone]
    assert shared[0].record.predictions != shared[1].record.predictions


@pytest.mark.slow
@pytest.mark.parametrize("units", [1, 2])
def test_a_unit_on_its_own_leaves_nothing_behind(make_runner, make_unit, units):
    runner = make_runner(Recalling)
    for seed in range(2):
        with runner.together(units):
            assert runner.run(make_unit(bank="recalling", seed=seed)).record.cost.fit_s < 60


@pytest.mark.slow
def test_a_threshold_comes_from_normal_images_by_banks_that_had_not_seen_them(make_runner, make_unit):
    plain = make_runner().run(make_unit())
    assert (plain.threshold, read_predictions(plain.folder, plain.record.predictions).normal) == (None, None)
    outcome = make_runner(threshold=Rule("sigma", k=2.0), redo=True).run(make_unit())
    normal = read_predictions(outcome.folder, outcome.record.predictions).normal
    assert (len(normal.values), normal.reason) == (outcome.record.task.train, "")
    assert outcome.threshold.value == pytest.approx(sigma(normal.values, 2.0))
    assert read_details(outcome.folder).threshold == outcome.threshold
    assert outcome.record.cost.threshold_s > 0 == plain.record.cost.threshold_s
    assert outcome.record.metrics == plain.record.metrics, "it changes no score"


def test_for_thresholds_no_image_is_looked_at_twice(make_runner, make_unit):
    seen = []

    class Seeing(ToyPixels):
        """Notes what it sees."""

        name = "seeing"

        def extract(self, batch):
            seen.extend(batch.ids)
            return super().extract(batch)

    runner = make_runner(Seeing, threshold=Rule())
    unit = make_unit(backbone="seeing")
    assert runner.run(unit).record.status == "ok"
    assert len(seen) == len(set(seen)) == len(unit.dataset.split("bolt").train) + len(unit.dataset.split("bolt").test)


def test_a_method_without_a_threshold_says_why_and_has_its_result(make_runner, make_unit):
    unit = make_unit(bank="toy-test-vectors", protocol=Protocol(allow=(Source.TEST,)))
    outcome = make_runner(threshold=Rule()).run(unit)
    assert outcome.record.status == "ok"
    assert "learns from the test images" in outcome.threshold.reason


@pytest.mark.slow
def test_what_the_page_shows_is_there_with_and_without_pictures(make_runner, make_unit, registry, tmp_path):
    few = read_details(make_runner().run(make_unit()).folder)
    assert few.embedding is None
    drawn = Runner(registry, Settings(tmp_path / "drawn")).run(make_unit())
    details = read_details(drawn.folder)
    assert len(details.embedding) == len(details.images)
    assert details.model_copy(update={"embedding": None}) == few


class Filing(ToyVectors):
    """Keeps its vectors in a file, and reads it whenever it is asked."""

    name = "filing"
    learned = None

    @property
    def vectors(self):
        return torch.load(self.file)

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.file = ctx.workdir / "vectors.pt"
        assert not self.file.exists(), "a scratch folder is empty"
        torch.save(self.learned["vectors"], self.file)


class FilingPixels(ToyPixels):
    """Keeps what it needs in a file, and reads it whenever it looks."""

    name = "filing-pixels"

    def prepare(self, ctx):
        self.file = ctx.workdir / "weights"
        self.file.write_text("weights")

    def extract(self, batch):
        assert self.file.read_text() == "weights"
        return super().extract(batch)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary folders are made."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.mark.slow
def test_the_folder_of_a_bank_lives_as_long_as_the_bank(make_runner, make_unit, scratch):
    runner = make_runner(Filing, FilingPixels, threshold=Rule("sigma", k=3.0))
    parts = {"backbone": "filing-pixels", "bank": "filing"}
    scores = []
    for aggregate in ("max", "mean", "max"):
        record = runner.run(make_unit(**parts, aggregate=aggregate, seed=0)).record
        assert (record.status, record.reason) == ("ok", "")
        scores.append(record.metrics["pixel-auroc"].value)
    alone = make_runner(redo=True)
    record = alone.run(make_unit(**parts, aggregate="mean")).record
    assert record.metrics["pixel-auroc"].value == scores[1] == scores[0]
    assert len(list(scratch.iterdir())) == 4, "of two runners, those of the bank and of the backbone"
    runner.close()
    alone.close()
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_bank_that_goes_takes_its_folder_with_it(make_runner, make_unit, scratch):
    runner = make_runner(Filing)
    for seed in range(3):
        assert runner.run(make_unit(bank="filing", seed=seed)).record.status == "ok"
    assert len(list(scratch.iterdir())) == 2
    runner.close()


def test_the_features_of_a_unit_lie_apart_from_what_components_keep(make_runner, make_unit, scratch):
    seen = []

    class Looking(ToyVectors):
        """Walks twice, and looks into its folder then."""

        name, passes = "looking", 2

        def fit(self, features, ctx):
            super().fit(features, ctx)
            seen.extend(ctx.workdir.iterdir())
            for path in ctx.workdir.parent.rglob("*.safetensors"):
                path.unlink()
            super().fit(features, ctx)

    assert make_runner(Looking).run(make_unit(bank="looking")).record.status == "ok"
    assert seen == []


@pytest.mark.slow
def test_a_failed_unit_takes_its_bank_with_it(make_runner, make_unit):
    class Spoiling(ToyNearest):
        """Spoils the bank that it reads, and fails."""

        name = "spoiling"

        def score(self, query, bank):
            bank.learned["vectors"].zero_()
            raise ValueError("no")

    runner = make_runner(Spoiling)
    calm = runner.run(make_unit()).record.metrics
    again = make_runner(redo=True)
    assert again.run(make_unit(scorer="spoiling")).record.status == "failed"
    assert again.run(make_unit()).record.metrics == calm


def test_a_stop_of_the_user_is_no_failure(make_runner, make_unit, raising):
    raising(Stopped(signal.SIGTERM))
    with pytest.raises(Stopped):
        make_runner(Raising).run(make_unit(bank="raising"))


class Fitted(ToyVectors):
    """Counts its fits."""

    name = "fitted"
    fits = 0

    def fit(self, features, ctx):
        type(self).fits += 1
        super().fit(features, ctx)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "fits", "reason"),
    [
        (Rule(), 1, "conformal needs 19 normal images that the bank has not seen; there are 4"),
        (Rule(alpha=0.01), 1, "conformal needs 99 normal images that the bank has not seen; there are 4"),
        (Rule(alpha=0.2), 1 + 4, ""),
        (Rule("sigma"), 1 + 4, ""),
        (None, 1, ""),
    ],
)
def test_nothing_is_fitted_for_a_threshold_that_cannot_be(make_runner, make_unit, monkeypatch, rule, fits, reason):
    monkeypatch.setattr(Fitted, "fits", 0)
    outcome = make_runner(Fitted, threshold=rule).run(make_unit(bank="fitted"))
    assert Fitted.fits == fits
    threshold = read_details(outcome.folder).threshold
    assert ("" if threshold is None else threshold.reason) == reason
    kept = read_predictions(outcome.folder, outcome.record.predictions).normal
    assert (kept is None) == (fits == 1)


def test_a_method_that_can_have_no_threshold_says_that_first(make_runner, make_unit):
    allowed = Protocol(allow=("nothing", "train", "test"))
    outcome = make_runner(threshold=Rule()).run(make_unit(bank="toy-test-vectors", protocol=allowed))
    assert "learns from the test images" in read_details(outcome.folder).threshold.reason
