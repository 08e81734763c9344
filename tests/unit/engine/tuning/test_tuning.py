"""Tuned backbones in runs: what a tuner sees, whose weights they are, and where they are kept."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from adbench import UsageError
from adbench.engine.features.cache_files import feature_folders
from adbench.engine.plan.compat import why_not
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import components_of
from adbench.engine.run.runner import Runner, Settings
from adbench.testing.toy_network import ToyTunable
from adbench.training import Tuned, Tuner


class Nudge(Tuner):
    """Adds noise to the first weight, as much as the seed says, and notes what it saw."""

    name = "nudge"
    seen: ClassVar[list] = []

    class Config(Tuner.Config):
        by: float = 0.1
        all: bool = False

    def tune(self, trainable, images, ctx):
        self.seen.append(frozenset(images.ids))
        assert [name for batch in images for name in batch.ids] == list(images.ids)
        drawn = float(torch.rand((), generator=ctx.generator("nudge")))
        for one in trainable.network.parameters():
            one.add_(self.config.by * drawn)
            if not self.config.all:
                break
        return Tuned([1.0, 0.5], {"drawn": drawn}, ("it nudged",) if self.config.by else ())


class Exploding(Nudge):
    """Fails as a training does whose loss is not finite."""

    name = "exploding"

    def tune(self, trainable, images, ctx):
        raise UsageError("tuner 'exploding': its loss became nan at step 3 of 5; use a smaller rate")


class Spoiling(Nudge):
    """Leaves a weight that is not finite."""

    name = "spoiling"

    def tune(self, trainable, images, ctx):
        next(trainable.network.parameters()).fill_(torch.nan)
        return Tuned()


class Random(ToyTunable):
    """Random weights, as a network before its training has them."""

    name = "random-tunable"

    def prepare(self, ctx):
        super().prepare(ctx)
        self._weights = type(self._weights)("random:0", "0" * 64)


@pytest.fixture
def run(registry, make_unit, tmp_path, monkeypatch):
    """Runs a tuned method on ``bolt``; hands back the record, the image sets that tuners saw, and what was noted."""
    for cls in (Nudge, Exploding, Spoiling, ToyTunable, Random):
        registry.add_component(cls, "made", "1")

    def run(seed=0, settings=None, **slots):
        monkeypatch.setattr(Nudge, "seen", [])
        notes = []
        given = {"cache": tmp_path / "cache", "figures": False, "threshold": None} | (settings or {})
        runner = Runner(registry, Settings(out=tmp_path / "runs", device="cpu", **given), note=notes.append)
        unit = make_unit(seed=seed, **{"backbone": "toy-tunable", "tune": "nudge", **slots})
        done = runner.run(unit)
        runner.close()
        return done.record, Nudge.seen, notes

    return run


def test_a_tuner_sees_the_normal_training_images_and_the_record_says_so(run):
    record, (seen,), notes = run()
    assert record.status == "ok", record.reason
    assert len(seen) == record.task.train
    assert record.regime.train_images == record.task.train
    assert record.facts["tune_drawn"] > 0
    assert record.drew
    assert "tuner 'nudge': it nudged" in notes
    (weights,) = record.provenance.weights
    assert weights.name == "toy, tuned by nudge"


def test_tuned_weights_are_kept_by_what_they_follow_from(run):
    first, _, _ = run()
    again, seen, notes = run(scorer={"toy-nearest": {}}, aggregate="mean")
    assert seen == []
    assert "tuner 'nudge': it nudged" in notes
    assert again.provenance.weights == first.provenance.weights
    assert again.facts["tune_drawn"] == first.facts["tune_drawn"]
    other, seen, _ = run(seed=1)
    assert len(seen) == 1
    assert other.provenance.weights != first.provenance.weights


def test_features_of_tuned_and_untuned_networks_never_mix(run, tmp_path):
    ids = {run(tune=part)[0].id for part in (None, "nudge", {"nudge": {"by": 0.2}})}
    assert len(ids) == 3
    folders = [info.about.get("tuned") for info in feature_folders(tmp_path / "cache" / "features")]
    assert len(set(folders)) == len(folders) == 3


def test_an_identity_without_a_tuner_is_what_it_was(run):
    assert "tune" not in run(tune=None)[0].recipe.spec


def test_a_threshold_comes_from_networks_that_had_not_seen_the_images(run):
    from adbench.engine.plan.threshold_rule import Rule

    record, seen, _ = run(settings={"threshold": Rule("quantile")})
    assert record.status == "ok", record.reason
    whole, *folds = seen
    assert len(folds) >= 2
    assert all(fold < whole for fold in folds)
    left_out = [name for fold in folds for name in whole - fold]
    assert sorted(left_out) == sorted(whole)


def test_a_damaged_file_in_the_cache_is_made_again(run, tmp_path):
    first, _, _ = run()
    for path in (tmp_path / "cache" / "tuned").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    again, seen, notes = run(aggregate="mean")
    assert len(seen) == 1
    assert any("damaged" in note for note in notes)
    assert again.provenance.weights == first.provenance.weights


def test_without_a_cache_nothing_is_kept(run, tmp_path):
    record, seen, _ = run(settings={"cache": None})
    assert record.status == "ok", record.reason
    assert len(seen) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("tuner", "words"),
    [("exploding", "its loss became nan at step 3 of 5"), ("spoiling", "must leave finite weights")],
)
def test_a_tuning_that_fails_fails_the_unit(run, tuner, words):
    record, _, _ = run(tune=tuner)
    assert record.status == "failed"
    assert words in record.reason


@pytest.mark.parametrize(
    ("options", "name", "marked"),
    [
        ({"by": 0.0}, "random:0", True),
        ({}, "random:0, tuned by nudge", True),
        ({"all": True}, "nudge from scratch, random:0", False),
    ],
)
def test_random_weights_stay_random_unless_all_of_them_learned(run, options, name, marked):
    record, _, _ = run(backbone="random-tunable", tune={"nudge": options})
    assert record.provenance.weights[0].name == name
    assert record.regime.random_weights is marked


def test_a_tuner_needs_a_torch_network_that_reads_whole_images(run, registry, make_unit):
    unit = make_unit(tune="nudge", preprocess=[{"tile": {"size": 32, "overlap": 0}}])
    reasons = why_not(components_of(unit.recipe, registry), Protocol())
    assert "tuner 'nudge' trains a torch network; backbone 'toy-pixels' is none" in reasons
    assert "tuner 'nudge' reads prepared images as a whole, and here are tiles; leave out the tiles" in reasons
