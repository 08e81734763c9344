"""The three tuners on a small network: budgets, seeds, checkpoints, and what they leave alone."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_tune.cutpaste import CutPaste, examples
from adbench_tune.dino import Dino
from adbench_tune.ibot import Ibot
from safetensors.torch import load

from adbench import Context, UsageError
from adbench.testing.toy_network import ToyBatches, toy_trainable
from adbench.training import Trainable

BRIEF = {"steps": 6, "head_steps": 3, "batch": 4, "crop": 32, "local_crop": 16, "local_views": 1, "prototypes": 16}
DISTILLERS = [Dino(**BRIEF), Ibot(**BRIEF)]
ALL = [CutPaste(steps=4, batch=4), *DISTILLERS]


def tuned(tuner, ctx=None):
    trainable = toy_trainable()
    told = tuner.tune(trainable, ToyBatches(), ctx or Context())
    return told, {name: value.clone() for name, value in trainable.network.state_dict().items()}


def names(state):
    """The weights that are not as they were."""
    before = toy_trainable().network.state_dict()
    return {name for name, value in state.items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("tuner", ALL, ids=lambda tuner: tuner.name)
def test_the_seed_decides(tuner):
    first, again, other = (tuned(tuner, Context(seed=seed))[1] for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("tuner", [CutPaste(steps=0), Dino(steps=0), Ibot(steps=0)], ids=lambda tuner: tuner.name)
def test_no_step_is_the_frozen_control(tuner):
    told, state = tuned(tuner)
    assert names(state) == set()
    assert list(told.losses) == []
    assert told.facts["steps"] == 0.0
    assert told.notes == ()


def test_cutpaste_trains_every_weight():
    told, state = tuned(ALL[0])
    assert names(state) == set(state)
    assert len(told.losses) == 4
    assert told.facts["loss_first"] == pytest.approx(sum(told.losses) / 4)


@pytest.mark.parametrize("tuner", DISTILLERS, ids=lambda tuner: tuner.name)
@pytest.mark.parametrize("blocks", [1, 2])
def test_only_the_last_blocks_learn(tuner, blocks):
    _, state = tuned(type(tuner)(**{**BRIEF, "blocks": blocks}))
    learned = {name for name in state if name.startswith("blocks.1." if blocks == 1 else "blocks.")}
    kept = {name for name in learned if "running" in name or "num_batches" in name}
    assert names(state) == learned - kept


@pytest.mark.parametrize("tuner", DISTILLERS, ids=lambda tuner: tuner.name)
def test_the_facts_have_the_frozen_network_as_a_control(tuner):
    told, _ = tuned(tuner)
    assert told.facts["rank_frozen"] == pytest.approx(tuned(Dino(steps=0))[0].facts["rank"])
    assert {"rank", "spread", "spread_frozen", "moved", "collapsed", "loss_first", "loss_last"} <= told.facts.keys()
    assert told.facts["moved"] > 0


class Plain(torch.nn.Module):
    """A network without shortcuts: nothing is left of its features where its last weights are zero."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.cells, self.mix = torch.nn.Conv2d(3, 8, 8, 8), torch.nn.Conv2d(8, 8, 1)

    def forward(self, images):
        grid = self.mix(self.cells(images)).permute(0, 2, 3, 1)
        return [grid, grid.mean(dim=(1, 2))]


def test_a_collapse_raises_the_alarm():
    network = Plain().requires_grad_(False)
    tuner = Dino(**{**BRIEF, "steps": 40, "head_steps": 0, "rate": 0.03, "momentum": 0.0, "decay": 30.0})
    told = tuner.tune(Trainable(network, (network.cells, network.mix)), ToyBatches(), Context())
    assert told.facts["collapsed"] == 1.0, told.facts
    assert "collapse alarm" in told.notes[0]


@pytest.mark.parametrize("tuner", ALL, ids=lambda tuner: tuner.name)
def test_more_images_a_step_than_there_are(tuner):
    told, _ = tuned(type(tuner)(**{**tuner.config.model_dump(exclude_unset=True), "batch": 64}))
    assert len(told.losses) == tuner.config.steps


class Exploding(torch.nn.Module):
    """A network whose answers become infinite."""

    def __init__(self, network, after):
        super().__init__()
        self.network, self.calls, self.after = network, 0, after

    def forward(self, images):
        self.calls += self.training
        found = self.network(images)
        return [one * torch.inf if self.calls > self.after else one for one in found]


def test_a_loss_that_is_not_finite_names_the_step_and_leaves_the_checkpoint(tmp_path):
    ctx, whole = Context(cache=tmp_path), toy_trainable()
    trainable = Trainable(Exploding(whole.network, 105), whole.blocks)  # the first call is no step
    tuner = CutPaste(steps=120, batch=2)
    with pytest.raises(UsageError, match=r"tuner 'cutpaste': its loss became (nan|inf) at step 105 of 120"):
        tuner.tune(trainable, ToyBatches(), ctx)
    (kept,) = tmp_path.rglob("*.safetensors")
    assert len(load(kept.read_bytes()[32:])["losses"]) == 100  # behind the digest of the file


LONG = [CutPaste(steps=120, batch=2), Dino(**{**BRIEF, "steps": 120})]


@pytest.mark.slow
@pytest.mark.parametrize("tuner", LONG, ids=lambda tuner: tuner.name)
def test_a_tuning_that_was_stopped_goes_on_to_the_same_weights(tuner, tmp_path):
    _, whole = tuned(tuner)

    def stop(_stage, done, _total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(tuner, Context(cache=tmp_path, watch=stop))
    seen = []
    _, state = tuned(tuner, Context(cache=tmp_path, watch=lambda _stage, done, _total: seen.append(done)))
    assert min(seen) > 100
    assert all(torch.equal(whole[name], state[name]) for name in whole)


def test_a_head_that_leaves_no_step_to_the_blocks_is_refused():
    with pytest.raises(UsageError, match="head_steps=250 leaves none of 200 steps to the blocks"):
        Dino(steps=200)


def test_examples_are_shown_in_three_ways(generator, images):
    given = images(4)
    shown, classes = examples(given, generator())
    assert classes.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert torch.equal(shown[:4], given)
    assert not any(torch.equal(shown[place], given[place % 4]) for place in range(4, 12))


@pytest.mark.slow
def test_cutpaste_learns_to_tell_pieces_from_normal_images():
    """On plain images with a smooth gradient, a pasted piece is easy to see."""
    ramp = torch.linspace(0, 1, 32)
    colours = [ramp.expand(32, 32), ramp[:, None].expand(32, 32), (ramp + ramp[:, None]) / 2]
    plain = torch.stack(colours).expand(8, 3, 32, 32)
    stream = ToyBatches()
    stream.batch = type(stream.batch)(stream.batch.ids[:8], plain.clone(), stream.batch.geometry[:8])
    told = CutPaste(steps=150, batch=8, rate=0.05).tune(toy_trainable(), stream, Context())
    guessing = math.log(3)  # the loss of one who guesses among three classes
    assert told.facts["loss_last"] < min(told.facts["loss_first"], guessing / 2)
