"""Training: the budget, the seed, checkpoints, progress, and losses that are not finite."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from adbench import Context, UsageError
from adbench.api.networks.exports import read_checked, write_checked
from adbench.training import Budget, Optimization, Training, loss_facts

RATE, STEPS = 0.05, 20
EXAMPLES = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


class Line(nn.Module):
    """A linear function with a parameter that stays as it is."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0, 0.5]))
        self.order = nn.Parameter(torch.tensor([2, 0, 1]), requires_grad=False)


class Run:
    """A training of a line, and the examples of each step."""

    def __init__(self, ctx=None, spoilt=(), steps=STEPS, batch=3, optimization=None):
        self.network, self.drawn, self.spoilt = Line(), [], spoilt
        budget = Budget(steps=steps, batch=batch, rate=RATE, decay=0.01)
        self.training = Training(
            self.network,
            self.loss,
            len(EXAMPLES),
            budget,
            ctx or Context(),
            name="line",
            who="bank 'line'",
            optimization=optimization,
        )

    def loss(self, chosen, noise):
        self.drawn.append(chosen.tolist())
        if len(self.drawn) in self.spoilt:
            raise KeyboardInterrupt
        noisy = EXAMPLES[chosen] + 0.1 * torch.randn(len(chosen), 3, generator=noise)
        return (noisy @ self.network.weight - 1).square().mean()

    def run(self, **about):
        return self.training.run(about, EXAMPLES)


@pytest.fixture
def closely(monkeypatch):
    """A look at the losses, and a checkpoint, every five steps."""
    monkeypatch.setattr("adbench.api.training.loop.LOOK", 5)
    monkeypatch.setattr("adbench.api.training.checkpoint.EVERY", 5)


def files(folder):
    return list(folder.rglob("*.safetensors"))


def test_it_takes_as_many_steps_as_its_budget_and_learns():
    run = Run(steps=200)
    losses = run.run()
    assert len(losses) == len(run.drawn) == 200
    assert losses[-20:].mean() < 0.5 * losses[:20].mean()


def test_the_seed_decides_and_nothing_else():
    first, again, other = (Run(Context(seed=seed)) for seed in (0, 0, 1))
    losses = [run.run() for run in (first, again, other)]
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(first.network.weight, again.network.weight)
    assert not torch.equal(losses[0], losses[2])


def test_each_example_is_drawn_once_before_any_is_drawn_again():
    run = Run(steps=14, batch=3)
    run.run()
    drawn = [index for step in run.drawn for index in step][: 6 * len(EXAMPLES)]
    for start in range(0, len(drawn), len(EXAMPLES)):
        assert sorted(drawn[start : start + len(EXAMPLES)]) == list(range(len(EXAMPLES)))


def test_fewer_examples_than_a_batch():
    run = Run(steps=2, batch=100)
    run.run()
    assert [sorted(step) for step in run.drawn] == [list(range(len(EXAMPLES)))] * 2


def test_whoever_watches_is_told_step_and_loss(closely):
    told = []
    losses = Run(Context(watch=lambda *what: told.append(what))).run()
    assert told == [(f"train, loss {losses[done - 1]:.4g}", done, STEPS) for done in (5, 10, 15, 20)]


def test_a_stopped_training_goes_on_to_the_same_bits(closely, tmp_path):
    whole = Run()
    losses = whole.run()
    ctx = Context(cache=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Run(ctx, spoilt={13}).run()
    assert len(files(tmp_path)) == 1
    rest = Run(ctx)
    assert torch.equal(rest.run(), losses)
    assert torch.equal(rest.network.weight, whole.network.weight)
    assert len(rest.drawn) == 10
    assert files(tmp_path) == []


@pytest.mark.parametrize("other", [{"seed": 1}, {"options": 2}, {"device": "other"}])
def test_a_checkpoint_of_another_training_is_left_alone(other, closely, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Run(Context(cache=tmp_path), spoilt={13}).run(options=1)
    run = Run(Context(cache=tmp_path, seed=other.get("seed", 0), device=other.get("device", "cpu")))
    run.run(options=other.get("options", 1))
    assert len(run.drawn) == STEPS
    assert len(files(tmp_path)) == 1


def stopped(ctx):
    """The file of the checkpoint of a training that was stopped at its 13th step."""
    with pytest.raises(KeyboardInterrupt):
        Run(ctx, spoilt={13}).run()
    return files(ctx.cache)[0]


def cut(file):
    file.write_bytes(file.read_bytes()[:-8])


def changed(file):
    """One bit of the losses or the weights is another: safetensors would not notice."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 64
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, changed, lambda file: file.write_bytes(b"no tensors")])
def test_a_damaged_checkpoint_is_passed_over(damage, closely, tmp_path):
    ctx = Context(cache=tmp_path)
    damage(stopped(ctx))
    run = Run(ctx)
    assert torch.equal(run.run(), Run().run())
    assert len(run.drawn) == STEPS


@pytest.mark.parametrize("part", ["network.weight", "optimizer.0.exp_avg", "noise", "losses"])
def test_a_checkpoint_that_does_not_fit_changes_nothing(part, closely, tmp_path):
    """Another release may have built the network in another way, under the same options and version."""
    ctx = Context(cache=tmp_path)
    file = stopped(ctx)
    state = load(read_checked(file))
    del state[part]
    state["network.order"] = state["network.order"].flip(0)
    state["optimizer.7.exp_avg"] = torch.zeros(2)
    write_checked(file, save(state))
    run = Run(ctx)
    assert torch.equal(run.run(), Run().run())
    assert torch.equal(run.network.order, Line().order)
    assert len(run.drawn) == STEPS


def test_two_trainings_that_share_a_cache_do_not_disturb_each_other(closely, tmp_path):
    """One ends, and deletes the checkpoint of both, while the other one still trains."""
    ctx, whole = Context(cache=tmp_path), Run()
    losses = whole.run()
    first, second = Run(ctx), Run(ctx)
    usual = first.loss

    def loss(chosen, noise):
        if len(first.drawn) == 12:
            assert torch.equal(second.run(), losses)
        return usual(chosen, noise)

    first.training._loss = loss
    assert torch.equal(first.run(), losses)
    assert torch.equal(first.network.weight, second.network.weight)
    assert torch.equal(first.network.weight, whole.network.weight)
    assert files(tmp_path) == []


def test_slow_steps_are_kept_by_the_clock(monkeypatch, tmp_path):
    monkeypatch.setattr("adbench.api.training.checkpoint.SECONDS", 0.0)
    stopped(Context(cache=tmp_path))
    rest = Run(Context(cache=tmp_path))
    assert torch.equal(rest.run(), Run().run())
    assert len(rest.drawn) == STEPS - 10  # a look is taken every ten steps


def test_a_first_loss_that_is_not_finite_is_no_question_of_the_rate():
    run = Run()
    usual = run.training._step
    run.training._step = lambda: usual() * torch.inf
    with pytest.raises(UsageError, match="its loss is inf at step 1 of 20, before anything was learned; the values"):
        run.run()


class Leap(Optimization):
    """Steps that are sound until one of them leaps to infinity, behind a loss that was finite."""

    def __init__(self, at):
        self.at = at

    def optimizer(self, parameters):
        self.made = torch.optim.SGD(parameters, lr=RATE)
        return self.made

    def before_step(self, step):
        self.made.param_groups[0]["lr"] = float("inf") if step + 1 == self.at else RATE


@pytest.mark.parametrize("at", [10, STEPS])
def test_weights_that_are_not_finite_name_the_step_and_the_last_sound_checkpoint_stays(at, closely, tmp_path):
    run = Run(Context(cache=tmp_path), optimization=Leap(at))
    with pytest.raises(UsageError, match=f"bank 'line': its weights became NaN or infinite at step {at} of 20"):
        run.run()
    state = load(read_checked(files(tmp_path)[0]))
    assert len(state["losses"]) == at - 5
    assert state["network.weight"].isfinite().all()


def test_a_loss_that_is_not_finite_names_the_step_and_the_checkpoint_stays(closely, tmp_path):
    run = Run(Context(cache=tmp_path))
    usual = run.training._step
    run.training._step = lambda: usual() * (torch.nan if len(run.drawn) == 12 else 1)
    with pytest.raises(UsageError, match="bank 'line': its loss became nan at step 12 of 20; use a smaller rate"):
        run.run()
    assert len(files(tmp_path)) == 1


def test_a_full_disk_costs_the_checkpoint_alone(closely, tmp_path):
    blocked = tmp_path / "training"
    blocked.write_text("a file where the folder would be")
    assert len(Run(Context(cache=tmp_path)).run()) == STEPS


def test_facts_are_the_mean_losses_at_either_end():
    assert loss_facts(torch.arange(100.0)) == {"loss_first": 24.5, "loss_last": 74.5}
    assert loss_facts(torch.tensor([2.0])) == {"loss_first": 2.0, "loss_last": 2.0}


class Counted(torch.optim.SGD):
    """Momentum whose state also has a number, as some authors' optimisers do."""

    def step(self, closure=None):
        for group in self.param_groups:
            for one in group["params"]:
                self.state[one]["taken"] = self.state[one].get("taken", 0) + 1
                one.grad.div_(self.state[one]["taken"] ** 0.1)
        return super().step(closure)


class Falling(Optimization):
    """A rate that falls from step to step, and gradients of at most one."""

    def __init__(self):
        self.told = []

    def optimizer(self, parameters):
        self.made = Counted(parameters, lr=RATE, momentum=0.9)
        self.made.register_step_pre_hook(self.clip)
        return self.made

    def clip(self, optimizer, *_):
        torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)

    def before_step(self, step):
        self.told.append(step)
        for group in self.made.param_groups:
            group["lr"] = RATE * 0.9**step


def test_another_optimiser_and_rates_that_change():
    falling, constant, by_hand = Falling(), Falling(), Line()
    constant.before_step = lambda step: None
    run, other = Run(optimization=falling, steps=3), Run(optimization=constant, steps=3)
    for one in (run, other):
        one.run()
    assert falling.told == [0, 1, 2]
    assert not torch.equal(run.network.weight, other.network.weight)
    assert not torch.equal(run.network.weight, by_hand.weight)
    moved = (run.network.weight - by_hand.weight).norm()
    assert moved <= RATE * (1 + 1.9 * 0.9 + 2.71 * 0.81)  # gradients of one, added up by momentum


def test_a_stopped_training_goes_on_with_the_optimisers_own_state(closely, tmp_path):
    whole = Run(optimization=Falling())
    losses = whole.run()
    ctx = Context(cache=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Run(ctx, spoilt={13}, optimization=Falling()).run()
    falling = Falling()
    rest = Run(ctx, optimization=falling)
    assert torch.equal(rest.run(), losses)
    assert torch.equal(rest.network.weight, whole.network.weight)
    assert falling.told == list(range(10, 20))
