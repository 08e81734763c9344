"""The three banks: what is learned, the seed, batches, budgets, files and bad input."""

from __future__ import annotations

import pytest
import torch
from adbench_flow.cflow import CFlow
from adbench_flow.energy import Energy
from adbench_flow.fastflow import FastFlow
from adbench_flow.flow_matching import FlowMatching
from safetensors.torch import load, save

from adbench import Context, ContractError, DataError, UsageError

BRIEF = {"steps": 4, "batch": 3, "reads": "layers"}
BANKS = {
    "fastflow": (FastFlow, {"blocks": 2}),
    "squares": (FastFlow, {"blocks": 2, "energy": "squares", "kernels": "3"}),
    "cflow": (CFlow, {"blocks": 2, "condition": 8, "vectors": 30}),
    "mismatch": (FlowMatching, {"width": 32, "condition": 8, "vectors": 30, "draws": 3}),
    "one-step": (FlowMatching, {"width": 32, "condition": 8, "vectors": 30, "score": "one-step"}),
}


@pytest.fixture(params=BANKS)
def fitted(request):
    """Fits a bank of each kind on a stream."""
    cls, usual = BANKS[request.param]

    def fit(stream, ctx=None, **options):
        bank = cls(**{**usual, **BRIEF, **options})
        bank.prepare(ctx or Context())
        bank.fit(stream, ctx or Context())
        return bank

    return fit


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_an_image_has_the_same_energy_alone_and_among_eight(fitted, layers, layer_stream, query):
    bank, asked = fitted(layer_stream(layers(5))), layers(8, seed=1)
    together = bank.energy(query(asked))
    assert together.shape == (8, 6, 4)
    alone = [bank.energy(query({name: layer[i : i + 1] for name, layer in asked.items()})) for i in range(8)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.slow
def test_the_seed_decides_and_nothing_else(fitted, layers, layer_stream):
    stream = layer_stream(layers(5))
    states = [fitted(stream, Context(seed=seed)).state() for seed in (0, 0, 1)]
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


@pytest.mark.slow
def test_what_is_restored_gives_the_same_energies(fitted, layers, layer_stream, query):
    bank, asked = fitted(layer_stream(layers(5))), query(layers(2, seed=1))
    other = type(bank)(**bank.config.model_dump())
    other.restore(load(save({name: tensor.contiguous() for name, tensor in bank.state().items()})))
    assert torch.equal(bank.energy(asked), other.energy(asked))


@pytest.mark.slow
def test_it_learns_what_is_usual_at_a_place(fitted, layers, layer_stream, query):
    """Places that were exchanged within an image have higher energies than before."""
    bank = fitted(layer_stream(layers(40)), steps=300, batch=16, rate=0.003)
    losses = bank.losses()
    assert sum(losses[-50:]) < sum(losses[:50])
    usual = layers(10, seed=1)
    moved = {name: layer.clone() for name, layer in usual.items()}
    moved["layer1"][:, 2:4, 1:3] = usual["layer1"][:, 0:2, 1:3]
    difference = bank.energy(query(moved)) - bank.energy(query(usual))
    elsewhere = difference[:, 5:].abs().mean()  # not 0 where convolutions look around
    assert difference[:, 2:4, 1:3].mean() > 2 * elsewhere


def test_fewer_images_than_a_batch(fitted, layers, layer_stream, query):
    bank = fitted(layer_stream(layers(1)), batch=16)
    assert bank.energy(query(layers(1, seed=1))).isfinite().all()
    assert len(bank.losses()) == BRIEF["steps"]


@pytest.mark.slow
def test_batches_of_a_stream_are_one_set_of_images(fitted, layers, layer_stream):
    whole = layers(5)
    parts = [{name: layer[start : start + 2] for name, layer in whole.items()} for start in (0, 2, 4)]
    assert same(fitted(layer_stream(whole)).state(), fitted(layer_stream(*parts)).state())


def test_merged_patches_are_one_grid(fitted, layers, layer_stream, query):
    bank = fitted(layer_stream(layers(5)), reads="patches")
    assert bank.state()["layout"].tolist() == [[8, 6, 4]]
    assert bank.needs == {"patches"}
    changed = layers(2, seed=1)
    before = bank.energy(query(changed))
    changed["layer2"] += 100
    assert torch.equal(bank.energy(query(changed)), before)


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on(fitted, layers, layer_stream, tmp_path, monkeypatch):
    from adbench.training import Training

    monkeypatch.setattr("adbench.api.training.loop.LOOK", 1)
    monkeypatch.setattr("adbench.api.training.checkpoint.EVERY", 2)
    stream, ctx, taken, steps = layer_stream(layers(5)), Context(cache=tmp_path), Training._step, []
    whole = fitted(stream).state()

    def killed(self):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return taken(self)

    monkeypatch.setattr(Training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(stream, ctx)
    assert same(fitted(stream, ctx).state(), whole)
    assert len(steps) == 4 + 2
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_step(fitted, layers, layer_stream):
    with pytest.raises(UsageError, match=r"bank '.*its loss became (nan|inf) at step \d+ of 60; use a smaller rate"):
        fitted(layer_stream(layers(5)), rate=1e30, steps=60)


def test_a_layer_of_one_channel_has_no_halves(layer_stream):
    bank = FastFlow(**{**BRIEF, "blocks": 2})
    with pytest.raises(UsageError, match="bank 'fastflow' couples one half of the channels with the other.*cflow"):
        bank.fit(layer_stream({"layer1": torch.rand(3, 4, 4, 1)}), Context())


def test_no_images(fitted, layer_stream):
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted(layer_stream())


def test_images_of_two_sizes(fitted, layers, layer_stream):
    other = {name: layer[:, :2] for name, layer in layers(2).items()}
    with pytest.raises(DataError, match="grids of 6 x 4 x 8, 3 x 2 x 6 values, but an image has 2 x 4 x 8, 2 x 2 x 6"):
        fitted(layer_stream(layers(2), other))


@pytest.mark.slow
def test_another_grid_than_learned(fitted, layers, layer_stream, query):
    bank = fitted(layer_stream(layers(2)))
    with pytest.raises(DataError, match="learned grids of 6 x 4 and 3 x 2 places, but an image has 5 x 4 and 3 x 2"):
        bank.energy(query({name: layer[:, :5] for name, layer in layers(1).items()}))


@pytest.mark.slow
def test_other_channels_than_learned(fitted, layers, layer_stream, query):
    bank = fitted(layer_stream(layers(2)))
    with pytest.raises(ContractError, match="learned layers of 8 and 6 channels, but is asked about 5 and 5"):
        bank.energy(query({name: layer[..., :5] for name, layer in layers(1).items()}))


def test_values_that_are_not_finite_are_refused_by_name(fitted, layers, layer_stream):
    known = layers(3)
    known["layer2"][2, 0, 0, 0] = torch.inf
    with pytest.raises(ContractError, match="image 'image 2' has NaN or infinity"):
        fitted(layer_stream(known))


@pytest.mark.slow
def test_values_that_never_change(fitted, layers, layer_stream, query):
    known = layers(4)
    known["layer1"][..., 1] = 0.1
    known["layer2"][:] = 0.0
    assert fitted(layer_stream(known)).energy(query(known)).isfinite().all()


@pytest.mark.parametrize("bank", [FastFlow, CFlow, FlowMatching])
@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": -1}, {"batch": 0}, {"rate": 0}, {"rate": float("nan")}])
def test_a_budget_of_nothing_is_refused(bank, options):
    with pytest.raises(UsageError, match=f"of bank '{bank.name}'"):
        bank(**options)


@pytest.mark.parametrize("bank", [FastFlow, CFlow, FlowMatching])
def test_nothing_learned_yet(bank, layers, query):
    with pytest.raises(UsageError, match="learned nothing yet"):
        bank().energy(query(layers(1)))


def test_the_scorer_gives_the_banks_energies(layers, layer_stream, query):
    bank = CFlow(**BANKS["cflow"][1], **BRIEF)
    bank.fit(layer_stream(layers(3)), Context())
    asked = query(layers(2, seed=1))
    assert torch.equal(Energy().score(asked, bank).patches, bank.energy(asked))


@pytest.mark.parametrize(
    ("energies", "message"),
    [(torch.zeros(1, 6, 4), r"must return \[2, H, W\], got \[1, 6, 4\]"), (torch.full((2, 6, 4), torch.nan), "finite")],
)
def test_the_scorer_refuses_what_no_bank_may_answer(energies, message, layers, query, monkeypatch):
    bank = CFlow()
    monkeypatch.setattr(bank, "energy", lambda _: energies)
    with pytest.raises(ContractError, match=f"bank 'cflow'.*{message}"):
        Energy().score(query(layers(2)), bank)
