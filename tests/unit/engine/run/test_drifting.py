from dataclasses import replace

import numpy as np
import pytest
import torch

from adbench import GOOD, Sample
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.toy import ToyNearest, ToyPixels, ToyVectors
from adbench.engine.evaluate.details import read_details
from adbench.engine.images.drifting import WINDOWS, parse_drifts
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.run.drifting import NO_THRESHOLD
from adbench.engine.run.robustness import LEARNS_FROM_TEST
from adbench.engine.run.runner import Runner
from adbench.errors import UsageError


class Growing(ToyVectors):
    """Every patch, and those of images that are added; counts what it is given."""

    name = "growing"
    given = []  # noqa: RUF012
    fits = 0

    def fit(self, features, ctx):
        type(self).fits += 1
        self._learn(features)

    def _learn(self, features):
        rows = [part.need_patches(self.title).float() for part in features]
        owners = [name for part, found in zip(features, rows, strict=True) for name in self._names(part, found)]
        vectors = torch.cat([found.flatten(0, 2) for found in rows])
        self.learned = {"vectors": vectors, "owners": torch.tensor(list("\n".join(owners).encode()), dtype=torch.uint8)}

    def _names(self, part, found):
        return [name for name in part.ids for _ in range(found.shape[1] * found.shape[2])]

    def add(self, features, ctx):
        type(self).given.append(tuple(features.ids))
        before, owners = self.learned["vectors"], self.owners
        self._learn(features)
        names = "\n".join([*owners, *self.owners]).encode()
        self.learned = {
            "vectors": torch.cat([before, self.learned["vectors"]]),
            "owners": torch.tensor(list(names), dtype=torch.uint8),
        }


class Listening(ToyNearest):
    """Notes which images it compares with how many vectors, and which of these come from the images themselves."""

    name = "listening"
    heard = []  # noqa: RUF012

    def score(self, query, bank):
        type(self).heard.append((tuple(query.ids), len(bank.vectors), frozenset(bank.owners)))
        return super().score(query, bank)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def make_runner(registry, tmp_path, notes):
    def make(*classes, **settings):
        for cls in (Growing, *classes):
            registry.add_component(cls, "made", "1")
        Growing.given, Growing.fits, Listening.heard = [], 0, []
        return Runner(registry, Settings(tmp_path / "runs", figures=False, **settings), note=notes.append)

    return make


@pytest.fixture
def make_asking(make_unit):
    def make(*names, bank="growing", **slots):
        unit = make_unit(bank=bank, **slots)
        return Unit(unit.recipe, unit.dataset, unit.category, unit.seed, unit.protocol, (), parse_drifts(names))

    return make


def reports_of(outcome):
    assert outcome.record.status == "ok", outcome.record.reason
    return read_details(outcome.folder).drifts


@pytest.mark.slow
def test_the_record_stays_as_it_is(make_runner, make_unit, make_asking):
    runner = make_runner(threshold=Rule("quantile"))
    clean = runner.run(make_unit(bank="growing"))
    plain = read_details(clean.folder)
    asked = runner.run(make_asking("noise"))
    assert plain.drifts is None
    assert asked.fresh, "the details had no report"
    assert (asked.record.id, asked.record.metrics) == (clean.record.id, clean.record.metrics)
    assert asked.record.predictions == clean.record.predictions
    assert read_details(asked.folder).model_copy(update={"drifts": None}) == plain
    assert not runner.run(make_asking("noise")).fresh
    assert runner.run(make_asking("noise:2")).fresh


def test_windows_tell_levels_alarms_and_what_was_added(make_runner, make_asking):
    """Under another brightness the toy raises an alarm for every image."""
    (report,) = reports_of(make_runner(threshold=Rule("quantile")).run(make_asking("brightness")))
    assert (report.corruption, report.strength, report.normals, report.defective) == ("brightness", 5, 3, 3)
    assert len(report.windows) == WINDOWS
    assert report.frozen_why == ""
    first, last = report.windows[0], report.windows[-1]
    assert (first.begin, last.end) == (0, 5)
    assert first.frozen == first.updated, "nothing was learned before the first window"
    assert last.frozen.false_alarms == 3
    assert all(one.added >= one.added_defective for one in report.windows)


@pytest.mark.slow
def test_an_image_is_never_judged_by_a_bank_that_has_learned_from_it(make_runner, make_asking):
    """The two banks that go on learning never hold an image, in any window, of the half that they judge."""
    runner = make_runner(Listening, threshold=Rule("sigma", k=1e5))
    unit = make_asking("noise:1", scorer="listening")
    (report,) = reports_of(runner.run(unit))
    assert [one.added for one in report.windows] == [6] * WINDOWS
    halves = [Growing.given[0::2], Growing.given[1::2]]
    assert [sorted(map(len, one)) for one in halves] == [[3] * WINDOWS] * 2
    learned = [{name for names in one for name in names} for one in halves]
    assert not learned[0] & learned[1]
    judged = [(ids, owners) for ids, _, owners in Listening.heard if owners & (learned[0] | learned[1])]
    assert judged
    for ids, owners in judged:
        mine = 0 if owners & learned[0] else 1
        assert not owners & learned[1 - mine], "a bank learns from one half only"
        assert set(ids) <= learned[1 - mine], "it judges the images that teach the other one"


@pytest.mark.slow
def test_the_fitted_bank_stays_as_it_was(make_runner, make_asking):
    """What is learned along one stream is unknown to the next one, which begins with the fitted bank again."""
    (alone,) = reports_of(make_runner(threshold=Rule("quantile")).run(make_asking("noise:1")))
    both = reports_of(make_runner(threshold=Rule("quantile"), redo=True).run(make_asking("brightness:1", "noise:1")))
    assert [one.corruption for one in both] == ["brightness", "noise"]
    assert any(one.added for one in both[0].windows)
    assert both[1] == alone


class Relabelled(Folder):
    """The same images, the normal ones called defective and the others normal."""

    def split(self, category):
        split = super().split(category)
        return replace(split, test=tuple(Sample(one.id, GOOD if one.anomalous else "odd") for one in split.test))

    def mask(self, sample):
        return None if sample.anomalous else np.zeros((64, 64), bool)

    def digest(self, sample):
        return super().digest(next(one for one in super().split("bolt").test if one.id == sample.id))


class RelabelledToo(Relabelled):
    """Training images have the digests of the folder's, too."""

    def digest(self, sample):
        return Folder.digest(self, sample) if "/train/" in sample.id else super().digest(sample)


@pytest.mark.slow
def test_labels_decide_nothing_but_the_figures(make_runner, make_asking, parts):
    """Under swapped labels the same images are learned from, in the same windows, and the figures are swapped."""
    unit = make_asking("noise:2")
    (first,) = reports_of(make_runner(threshold=Rule("quantile")).run(unit))
    given = [len(names) for names in Growing.given]
    swapped = replace(unit, dataset=RelabelledToo(root=parts))
    (second,) = reports_of(make_runner(threshold=Rule("quantile"), redo=True).run(swapped))
    assert [len(names) for names in Growing.given] == given
    assert any(one.added_defective for one in second.windows)
    for one, other in zip(first.windows, second.windows, strict=True):
        assert one.added == other.added == one.added_defective + other.added_defective
        for mine, theirs in ((one.frozen, other.frozen), (one.updated, other.updated)):
            assert (mine.false_alarms, mine.found) == (theirs.found, theirs.false_alarms)
            assert mine.auroc == pytest.approx(1 - theirs.auroc)


def test_a_bank_that_cannot_add_is_reported_frozen(make_runner, make_asking, notes):
    (report,) = reports_of(make_runner(threshold=Rule("quantile")).run(make_asking("noise", bank="toy-vectors")))
    assert all(one.updated is None and one.added == 0 for one in report.windows)
    assert "learns from all images at once" in report.frozen_why
    assert notes == [f"no updates along the stream: {report.frozen_why}"]


def test_a_bank_that_refuses_while_it_adds_is_reported_frozen(make_runner, make_asking):
    class Refusing(Growing):
        name = "refusing"

        def add(self, features, ctx):
            raise UsageError("it is full")

    (report,) = reports_of(make_runner(Refusing, threshold=Rule("quantile")).run(make_asking("noise", bank="refusing")))
    assert report.frozen_why == "it is full"
    assert {one.updated for one in report.windows} == {None}


def test_without_a_threshold_nothing_is_added(make_runner, make_asking):
    (report,) = reports_of(make_runner().run(make_asking("noise")))
    assert report.frozen_why == NO_THRESHOLD
    assert report.threshold is None
    assert report.windows[0].frozen.false_alarms is None
    assert report.windows[0].frozen.auroc == 1
    assert Growing.given == []


def test_a_method_that_learns_from_the_test_images_has_no_report(make_runner, make_asking, notes):
    protocol = Protocol(allow=("nothing", "train", "test"))
    unit = make_asking("noise:1", bank="toy-test-vectors", protocol=protocol)
    runner = make_runner()
    assert reports_of(runner.run(unit)) is None
    assert notes == [LEARNS_FROM_TEST]
    assert not runner.run(unit).fresh


@pytest.mark.slow
def test_each_image_of_the_stream_is_seen_once(make_runner, make_asking):
    class Counting(ToyPixels):
        name = "counting"
        seen = 0

        def extract(self, batch):
            type(self).seen += len(batch)
            return super().extract(batch)

    runner = make_runner(Counting, threshold=Rule("sigma", k=1e5))
    runner.run(make_asking(category="nut", backbone="counting"))
    clean, Counting.seen = Counting.seen, 0
    runner.run(make_asking("noise", backbone="counting"))
    assert Counting.seen == clean + 6 * WINDOWS


def test_a_unit_travels_with_its_drifts(make_asking, registry):
    unit = make_asking("noise", "shift:2", bank="toy-vectors")
    assert Unit.from_json(unit.to_json(), registry).drifts == unit.drifts
