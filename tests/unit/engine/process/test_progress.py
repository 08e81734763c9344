"""The count of a stage only rises, and ends at its total."""

from __future__ import annotations

import pytest

from adbench.builtin.stages.augmenters import Rotate
from adbench.builtin.toy import ToyTestVectors, ToyVectors
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.progress import StageProgress
from adbench.engine.run.runner import Runner


@pytest.mark.parametrize("steps", [(3, 3), (2, 2), (6, 6, 6), (), (1,) * 6, (0, 100)])
def test_the_count_never_goes_back_and_ends_at_its_total(steps):
    calls = []
    progress = StageProgress(lambda *what: calls.append(what), "learn", 6)
    with progress.running():
        for images in steps:
            progress.advance(images)
    counts = [done for _, done, _ in calls]
    assert counts == sorted(set(counts))
    assert calls[-1] == ("learn", 6, 6)


def test_without_images_nothing_is_reported():
    calls = []
    progress = StageProgress(lambda *what: calls.append(what), "learn")
    with progress.running():
        progress.advance(3)
    assert calls == []


def test_a_stage_that_fails_does_not_report_its_end():
    calls = []
    progress = StageProgress(lambda *what: calls.append(what), "learn", 6)
    with pytest.raises(RuntimeError), progress.running():
        progress.advance(2)
        raise RuntimeError
    assert calls == [("learn", 2, 6)]


class Twice(ToyVectors):
    """Reads its stream twice, as it declares."""

    name, passes = "twice", 2

    def fit(self, features, ctx):
        list(features)
        super().fit(features, ctx)


class Peeking(ToyVectors):
    """Reads the first batch, then stops."""

    name = "peeking"

    def fit(self, features, ctx):
        next(iter(features))
        super().fit(features, ctx)
        next(iter(features))


class BreaksOff(ToyVectors):
    """Reads its stream three times, once in part, and declares five passes."""

    name, passes = "breaks-off", 5

    def fit(self, features, ctx):
        list(features)
        next(iter(features))
        super().fit(features, ctx)


class OnTestTwice(ToyTestVectors):
    """Learns from the test images, twice."""

    name, passes = "test-twice", 2

    def fit(self, features, ctx):
        list(features)
        super().fit(features, ctx)


@pytest.fixture
def stages(registry, make_unit, tmp_path):
    """The counts of each stage of a unit, with the total that was reported, in the order of the stages."""

    def stages(bank="toy-vectors", again=False, cache=None, protocol=None, **slots):
        for cls in (Twice, Peeking, BreaksOff, OnTestTwice):
            registry.add_component(cls, "made", "1")
        registry.components.get(("augmenter", Rotate.name)) or registry.add_component(Rotate, "made", "1")
        calls = []
        settings = Settings(
            tmp_path / "runs", figures=False, threshold=Rule("sigma"), batch_size=3, cache=cache, redo=again
        )
        runner = Runner(registry, settings, watch=lambda *what: calls.append(what))
        outcome = runner.run(make_unit(bank=bank, protocol=protocol, **slots))
        assert outcome.record.status == "ok", outcome.record.reason
        return calls

    return stages


TRAIN, TEST, FOLDS = 4, 6, 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bank", "slots", "learn", "threshold"),
    [
        ("toy-vectors", {}, TRAIN, FOLDS * 3 + 4),
        ("twice", {}, 2 * TRAIN, 2 * FOLDS * 3 + 4),
        ("peeking", {}, TRAIN, FOLDS * 3 + 4),
        ("breaks-off", {}, 5 * TRAIN, 5 * FOLDS * 3 + 4),
        ("toy-vectors", {"augment": {"rotate": {"angles": [90, 180]}}}, 3 * TRAIN, 3 * FOLDS * 3 + 4),
        ("twice", {"augment": {"rotate": {"angles": [90]}}}, 4 * TRAIN, 4 * FOLDS * 3 + 4),
    ],
)
def test_one_count_a_stage_over_passes_views_and_folds(stages, bank, slots, learn, threshold):
    require_whole(stages(bank, **slots), {"learn": learn, "score": TEST, "threshold": threshold})


def test_a_bank_that_learns_from_the_test_images_counts_those(stages):
    allowed = Protocol(allow=("nothing", "train", "test"))
    require_whole(stages("test-twice", protocol=allowed), {"learn": 2 * TEST, "score": TEST})


def test_recalled_images_count_as_those_that_are_new(stages, tmp_path):
    cache = tmp_path / "cache"
    first, second = stages(cache=cache), stages(cache=cache, again=True)
    expected = {"learn": TRAIN, "score": TEST, "threshold": FOLDS * 3 + 4}
    require_whole(first, expected)
    require_whole(second, expected)


def require_whole(calls, totals):
    """Each stage is reported in one go, upwards, and ends at its total."""
    order = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert order == [*totals, "write"]
    assert [stage for stage, _, _ in calls] == sorted((stage for stage, _, _ in calls), key=order.index)
    for stage, total in totals.items():
        counts = [done for name, done, _ in calls if name == stage]
        assert {of for name, _, of in calls if name == stage} == {total}
        assert counts == sorted(set(counts))
        assert counts[-1] == total
