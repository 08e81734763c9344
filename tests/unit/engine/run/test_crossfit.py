from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from adbench import Batch, Context, FeatureStream, Geometry, Sample, Source, UsageError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.stages.aggregators import Max
from adbench.builtin.toy import ToyNearest, ToyPixels, ToyTestVectors, ToyVectors
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.evaluate.evaluator import measure
from adbench.engine.evaluate.folds import FOLDS, HELD_OUT, MANY, folds_of
from adbench.engine.evaluate.reproduce import evaluator_of
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.run.crossfit import FoldTools, normal_scores, normal_scores_of
from adbench.engine.run.method import Method
from adbench.engine.run.runner import Runner
from adbench.errors import UnitTimeout

CTX = Context()


def samples(count):
    return [Sample(f"bolt/train/good/{index:04}") for index in range(count)]


def own(count):
    """A content of its own for each image."""
    return {sample.id: f"content {sample.id}" for sample in samples(count)}


def pairs(count):
    """One content for every two images."""
    return {sample.id: f"content {index // 2}" for index, sample in enumerate(samples(count))}


class Stream(FeatureStream):
    """Features of images whose noise is decided by their name."""

    def __init__(self, chosen):
        self.chosen = chosen

    @property
    def ids(self):
        return [sample.id for sample in self.chosen]

    def __iter__(self):
        for name in self.ids:
            generator = torch.Generator().manual_seed(int(name[-4:]))
            image = torch.rand(1, 3, 32, 32, generator=generator)
            yield ToyPixels().extract(Batch((name,), image, (Geometry.whole(32, 32),)))


def maker(bank=ToyVectors, scorer=ToyNearest):
    return lambda: Method((), ToyPixels(), (), None, bank(), scorer(), Max())


def scores_of(make, images, digests, ctx):
    return normal_scores(make(), images, digests, lambda _: FoldTools(make(), Stream, Stream), ctx)


class Noting(ToyVectors):
    """Notes what each fit learned from."""

    name = "noting"
    notes = None

    def fit(self, features, ctx):
        super().fit(features, ctx)
        self.notes.append(set(features.ids))


class FromNothing(ToyVectors):
    """Learns from nothing, as prompts do."""

    name, learns_from = "from-nothing", Source.NOTHING


@pytest.mark.parametrize("count", [2, 3, 7, 38, MANY - 1])
def test_with_few_images_each_is_left_out_once(count):
    source, folds = folds_of(samples(count), own(count), CTX)
    assert source == f"cross-fitted k={min(count, FOLDS)}"
    scored = [sample for fold in folds for sample in fold.left_out]
    assert sorted(sample.id for sample in scored) == [sample.id for sample in samples(count)]
    for fold in folds:
        assert [s.id for s in fold.learn] == [s.id for s in samples(count) if s not in fold.left_out]


def test_many_images_need_one_fit():
    source, (fold,) = folds_of(samples(MANY), own(MANY), CTX)
    assert source == "held-out 20 %"
    assert (len(fold.learn), len(fold.left_out)) == (MANY - round(HELD_OUT * MANY), round(HELD_OUT * MANY))
    assert set(fold.learn).isdisjoint(fold.left_out)


@pytest.mark.parametrize("count", [4, 60, MANY, MANY + 40])
def test_images_of_one_content_are_left_out_together(count):
    contents = pairs(count)
    _, folds = folds_of(samples(count), contents, CTX)
    for fold in folds:
        learned, scored = ({contents[sample.id] for sample in part} for part in (fold.learn, fold.left_out))
        assert learned
        assert scored
        assert learned.isdisjoint(scored)


def test_a_content_larger_than_the_share_is_never_split():
    contents = {
        sample.id: "one" if index < MANY - 3 else f"other {index}" for index, sample in enumerate(samples(MANY))
    }
    for seed in range(5):
        _, (fold,) = folds_of(samples(MANY), contents, Context(seed=seed))
        assert len(fold.left_out) in (1, 2, 3)


def test_one_content_alone_gives_no_threshold():
    found = scores_of(maker(), samples(5), dict.fromkeys(own(5), "one"), CTX)
    assert "all normal images have one content" in found.reason


def test_the_seed_decides_which_images_are_left_out():
    first, again, other = (folds_of(samples(30), own(30), Context(seed=seed))[1] for seed in (1, 1, 2))
    assert first == again != other


def test_no_image_is_scored_by_a_bank_that_learned_from_it(monkeypatch):
    monkeypatch.setattr(Noting, "notes", [])
    found = scores_of(maker(Noting), samples(7), own(7), CTX)
    assert (found.values.shape, found.values.dtype, found.reason) == ((7,), np.float32, "")
    assert (found.values > 0).all()  # its own patches would be at distance 0
    everything = {sample.id for sample in samples(7)}
    assert [len(everything - part) for part in Noting.notes] == [2, 2, 1, 1, 1]


def test_the_scores_are_those_of_the_method():
    ctx = Context(seed=3)
    (source, folds), found = (
        folds_of(samples(4), own(4), ctx),
        scores_of(maker(), samples(4), own(4), ctx),
    )
    method = maker()()
    method.fit({Source.TRAIN: Stream(folds[0].learn)}, ctx)
    (features,) = Stream(folds[0].left_out)
    assert found.values[0] == method.scorer.score(features, method.bank).patches.amax()
    assert found.source == source


class Greedy(ToyVectors):
    name = "greedy"

    def fit(self, features, ctx):
        raise UsageError("8 components need 8 images")


class Vast(ToyVectors):
    name = "vast"

    def fit(self, features, ctx):
        raise MemoryError


class Slow(ToyVectors):
    name = "slow"

    def fit(self, features, ctx):
        raise UnitTimeout("it took more than 1 s")


@pytest.mark.parametrize(
    ("make", "count", "why"),
    [
        (maker(ToyTestVectors), 5, "learns from the test images"),
        (maker(FromNothing), 5, "learns from no normal image"),
        (maker(), 1, "a single normal image"),
        (maker(Greedy), 5, "fitted on fewer images, 8 components need 8 images"),
        (maker(Vast), 5, "fitted on fewer images, the method runs out of memory"),
    ],
)
def test_the_result_gives_the_reason_where_there_are_no_scores(make, count, why):
    found = scores_of(make, samples(count), own(count), CTX)
    assert why in found.reason
    assert found.values.shape == (0,)


def test_a_timeout_is_raised():
    with pytest.raises(UnitTimeout):
        scores_of(maker(Slow), samples(5), own(5), CTX)


class Marking(Folder):
    """A folder whose publishers judge marked pixels."""

    judges_marks = True


@pytest.mark.parametrize("grid", ["original", 32])
def test_pixels_of_left_out_maps_give_the_threshold_of_seg_f1(make_unit, registry, tmp_path, parts, grid):
    """The runner's moments are those of the maps that a callback sees; the metric counts pixels above them."""
    unit = replace(make_unit(protocol=Protocol(evaluation=grid)), dataset=Marking(root=parts))
    seen = []

    def note(features, scores):
        seen.extend(
            anomaly_map(one.patches.numpy(), place, unit.recipe.map, unit.protocol.grid)
            for place, one in zip(features.geometry, scores, strict=True)
        )

    class Listening(Runner):
        def _normal_scores(self, prepared):
            normal_scores_of(prepared, Rule("quantile"), self.registry, self._watch, note)
            return super()._normal_scores(prepared)

    runner = Listening(registry, Settings(tmp_path / "runs", figures=False, threshold=Rule("quantile")))
    outcome = runner.run(unit)
    pixels = np.concatenate([found.ravel() for found in seen]).astype(np.float64)
    assert len(seen) == 4
    evaluator = evaluator_of(outcome.folder, outcome.record, unit.dataset)
    assert evaluator.predictions.normal.pixels == pytest.approx((pixels.mean(), pixels.std()))
    pairs = list(evaluator.masked_maps())
    marked = np.concatenate([found.ravel() for found, _ in pairs]) > pixels.mean() + 3 * pixels.std()
    truth = np.concatenate([mask.ravel() for _, mask in pairs])
    figure = outcome.record.metrics["pixel-seg-f1"].value
    assert figure == pytest.approx(2 * (marked & truth).sum() / (marked.sum() + truth.sum()))
    assert figure > 0.2
    assert measure(registry.metrics(), evaluator.evidence()) == outcome.record.metrics


def test_other_data_and_runs_without_a_threshold_have_no_seg_f1(make_unit, registry, tmp_path, parts):
    for dataset, rule in ((Marking(root=parts), None), (Folder(root=parts), Rule("quantile"))):
        runner = Runner(registry, Settings(tmp_path / str(rule), figures=False, threshold=rule))
        outcome = runner.run(replace(make_unit(), dataset=dataset))
        assert outcome.record.status == "ok"
        assert "pixel-seg-f1" not in outcome.record.metrics
