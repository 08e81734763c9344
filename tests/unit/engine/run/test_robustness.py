import pytest
from PIL import Image

from adbench.builtin.toy import ToyNearest, ToyPixels, ToyVectors
from adbench.engine.evaluate.details import read_details
from adbench.engine.images.corrupting import corrupted
from adbench.engine.images.corruption import Corruption, parse_corruptions
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.run.robustness import LEARNS_FROM_TEST
from adbench.engine.run.runner import Runner


@pytest.fixture
def notes():
    return []


@pytest.fixture
def make_runner(registry, tmp_path, notes):
    def make(*classes, **settings):
        for cls in classes:
            registry.add_component(cls, "made", "1")
        return Runner(registry, Settings(tmp_path / "runs", figures=False, **settings), note=notes.append)

    return make


@pytest.fixture
def make_asking(make_unit):
    """A unit that asks for corruptions."""

    def make(*names, **slots):
        unit = make_unit(**slots)
        chosen = parse_corruptions(names)
        return Unit(unit.recipe, unit.dataset, unit.category, unit.seed, unit.protocol, chosen)

    return make


class Counting(ToyPixels):
    """Counts the images that it sees."""

    name = "counting"
    seen = 0

    def extract(self, batch):
        type(self).seen += len(batch)
        return super().extract(batch)


class FittedOnce(ToyVectors):
    """Counts how often it learns."""

    name = "fitted-once"
    fits = 0

    def fit(self, stream, ctx):
        type(self).fits += 1
        super().fit(stream, ctx)


def report_of(outcome):
    assert outcome.record.status == "ok", outcome.record.reason
    return read_details(outcome.folder).corruptions


@pytest.mark.slow
def test_clean_records_stay_as_they_are(make_runner, make_unit, make_asking):
    runner = make_runner(threshold=Rule("quantile"))
    clean = runner.run(make_unit())
    plain = read_details(clean.folder)
    asked = runner.run(make_asking("noise"))
    assert plain.corruptions is None
    assert asked.fresh, "the details had no report"
    assert asked.record.id == clean.record.id
    assert asked.record.reason == ""
    assert asked.record.metrics == clean.record.metrics
    assert asked.record.predictions == clean.record.predictions
    assert read_details(asked.folder).model_copy(update={"corruptions": None}) == plain


@pytest.mark.slow
def test_a_report_is_not_made_again(make_runner, make_asking):
    runner = make_runner()
    assert runner.run(make_asking("noise")).fresh
    assert not runner.run(make_asking("noise:2")).fresh
    assert runner.run(make_asking("noise", "jpeg:1")).fresh


@pytest.mark.slow
def test_nothing_is_fitted_again_and_each_image_is_seen_once(make_runner, make_asking):
    runner = make_runner(Counting, FittedOnce)
    runner.run(make_asking(category="nut", backbone="counting", bank="fitted-once"))
    clean, Counting.seen, FittedOnce.fits = Counting.seen, 0, 0
    runner.run(make_asking("noise", "shift:5", backbone="counting", bank="fitted-once"))
    assert (Counting.seen, FittedOnce.fits) == (clean + 6 * 6, 1)


@pytest.mark.slow
def test_another_scorer_reads_cached_features_and_gives_the_same_figures(make_runner, make_asking, tmp_path):
    """What the cache gives is what the backbone gave, for each corruption and strength."""
    asking = {"category": "nut", "backbone": "counting"}
    plain = report_of(make_runner(Counting).run(make_asking("noise", "jpeg:1", **asking)))
    cached = make_runner(cache=tmp_path / "cache", cache_limit=1 << 30)
    cached.run(make_asking("noise", "jpeg:1", "gamma:2", scorer={"toy-nearest": {"k": 2}}, **asking))
    Counting.seen = 0
    again = cached.run(make_asking("noise", "jpeg:1", **asking))
    assert Counting.seen == 0
    assert report_of(again) == plain


@pytest.mark.slow
def test_scores_are_those_of_corrupted_files(make_runner, make_asking, parts):
    """A folder with the corrupted files in place of the clean ones gives the same figures."""
    runner, corruption = make_runner(threshold=Rule("quantile")), Corruption("noise", 5)
    unit = make_asking(str(corruption), protocol=Protocol(evaluation=64))
    report = report_of(runner.run(unit))
    for sample in unit.dataset.split("bolt").test:
        pixels = corrupted(unit.dataset.image(sample), corruption, unit.dataset.digest(sample))
        Image.fromarray(pixels).save(unit.dataset.image_path(sample))
    made = make_asking(protocol=Protocol(evaluation=64))
    there = runner.run(Unit(made.recipe, type(unit.dataset)(root=parts), "bolt", 0, made.protocol))
    (found,) = report.corrupted
    assert found.metrics == {name: pytest.approx(info.value, abs=1e-6) for name, info in there.record.metrics.items()}
    assert there.threshold.value == pytest.approx(report.threshold)
    assert found.false_alarms == round(there.threshold.fpr * report.normals)


@pytest.mark.slow
def test_a_moved_object_is_judged_by_its_moved_mask(make_runner, make_asking, parts):
    """The toy finds the bright square wherever it is: only a mask that stayed behind would cost pixels."""
    runner = make_runner()
    report = report_of(runner.run(make_asking("shift", "rotation")))
    assert report.grid == (256, 256)
    for figures in report.corrupted:
        assert figures.metrics["pixel-auroc"] > report.clean.metrics["pixel-auroc"] - 0.02


@pytest.mark.slow
def test_without_a_threshold_there_are_no_alarms(make_runner, make_asking):
    report = report_of(make_runner().run(make_asking("noise:1")))
    assert (report.threshold, report.clean.false_alarms, report.corrupted[0].false_alarms) == (None, None, None)
    assert report.normals == 3


@pytest.mark.slow
def test_noise_raises_alarms(make_runner, make_asking):
    report = report_of(make_runner(threshold=Rule("quantile")).run(make_asking("noise")))
    assert report.corrupted[-1].false_alarms == report.normals == 3


@pytest.mark.slow
def test_a_component_sees_neither_names_nor_which_image_is_corrupted(make_runner, make_asking):
    class Listening(ToyNearest):
        name = "listening"
        ids = []  # noqa: RUF012

        def score(self, query, bank):
            type(self).ids += query.ids
            return super().score(query, bank)

    runner = make_runner(Listening)
    assert report_of(runner.run(make_asking("noise:1", "jpeg:1", scorer="listening")))
    assert len(set(Listening.ids)) == 6 * 3
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in Listening.ids)


def test_a_method_that_learns_from_the_test_images_has_no_report(make_runner, make_asking, notes):
    protocol = Protocol(allow=("nothing", "train", "test"))
    unit = make_asking("noise:1", bank="toy-test-vectors", protocol=protocol)
    runner = make_runner()
    assert report_of(runner.run(unit)) is None
    assert notes == [LEARNS_FROM_TEST]
    assert not runner.run(unit).fresh


def test_a_unit_travels_with_its_corruptions(make_asking, registry):
    unit = make_asking("noise", "shift:2")
    assert Unit.from_json(unit.to_json(), registry).corruptions == unit.corruptions
