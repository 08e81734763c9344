"""The bank around a small network of the same form: training, state, and what it refuses."""

from __future__ import annotations

import random
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from adbench_anomalib import bank as bank_module
from adbench_anomalib.bank import Anomalib
from adbench_anomalib.installation import MissingAnomalib, require_anomalib
from adbench_anomalib.models.adapter import AdaptedOptimization, Setting
from adbench_anomalib.models.catalog import ADAPTERS, WITHOUT
from adbench_anomalib.randomness import drawn_from
from adbench_anomalib.scorer import AnomalibScores
from hypothesis import given
from hypothesis import strategies as st

from adbench import Context, ContractError, DataError, UsageError, WeightsError

from .conftest import FAKES, FakeAdapter, Shots, features


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_it_learns(fitted, photos):
    bank = fitted(photos(10), steps=200)
    assert bank.facts()["loss_last"] < 0.7 * bank.facts()["loss_first"]
    assert len(bank.losses()) == 200


def test_the_seed_decides_and_nothing_else(fitted, photos, tmp_path):
    banks = []
    for seed, global_seed in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(global_seed)
        banks.append(fitted(photos(6), ctx=Context(seed=seed, workdir=tmp_path)).state())
    assert same(banks[0], banks[1])
    assert not same(banks[0], banks[2])


def test_global_randomness_stays(fitted, photos):
    before, pythons = torch.get_rng_state(), random.getstate()
    fitted(photos(6)).energy(features(photos(1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == pythons


def test_the_generator_decides_all_global_randomness():
    drawn = []
    for _ in range(2):
        with drawn_from(torch.Generator().manual_seed(3)):
            drawn.append((torch.rand(()).item(), np.random.rand(), random.random()))
    assert drawn[0] == drawn[1]


def test_batches_of_a_stream_are_one_set_of_images(fitted, photos):
    whole = photos(5)
    assert same(fitted(whole).state(), fitted(whole[:2], whole[2:]).state())


def test_an_image_alone_and_among_others(fitted, photos):
    bank, asked = fitted(photos(5)), photos(3, seed=1)
    alone = torch.cat([bank.energy(features(one[None])) for one in asked])
    assert torch.equal(bank.energy(features(asked)), alone)
    assert alone.shape == (3, 24, 32)


def test_maps_lie_on_the_patches_where_there_are_any(fitted, photos):
    bank, asked = fitted(photos(5)), features(photos(2, seed=1))
    patched = asked.having(patches=torch.zeros(2, 3, 4, 5))
    cells = bank.energy(asked).reshape(2, 3, 8, 4, 8).mean((2, 4))
    torch.testing.assert_close(bank.energy(patched), cells)
    scores = AnomalibScores().score(patched, bank)
    torch.testing.assert_close(scores.patches, cells)
    assert torch.equal(scores.image, bank.answer(asked).scores)


def test_held_out_images_teach_nothing(fitted, photos):
    known = photos(10)
    state = fitted(known).state()
    others = sorted(set(range(10)) - set(FakeAdapter.seen))
    assert len(others) == 2
    known[others] = 0.5
    assert same(fitted(known).state(), state)


def test_one_image_is_trained_on_and_held_out(fitted, photos):
    assert fitted(photos(1)).energy(features(photos(1))).isfinite().all()


@pytest.mark.parametrize("rate", [None, 0.1])
def test_rates_follow_the_share_of_steps(rate):
    optimization = AdaptedOptimization(FakeAdapter(Setting("bank", steps=4, rate=rate)))
    made = optimization.optimizer([torch.nn.Parameter(torch.zeros(2))])
    seen = []
    for step in range(4):
        optimization.before_step(step)
        seen.append(made.param_groups[0]["lr"])
    assert seen == pytest.approx([(rate or FakeAdapter.rate) * share for share in (1, 0.875, 0.75, 0.625)])


def test_gradients_have_a_limit(monkeypatch):
    monkeypatch.setattr(FakeAdapter, "clip", 0.5)
    weights = torch.nn.Parameter(torch.zeros(2))
    made = AdaptedOptimization(FakeAdapter(Setting("bank", steps=4))).optimizer([weights])
    weights.grad = torch.tensor([30.0, 40.0])
    made.step()
    torch.testing.assert_close(weights.grad, torch.tensor([0.3, 0.4]))


def test_state_survives_to_the_same_bits(fitted, photos):
    bank, asked = fitted(photos(5)), features(photos(2, seed=1))
    other = Anomalib(**bank.config.model_dump())
    other.restore(bank.state())
    assert torch.equal(other.energy(asked), bank.energy(asked))


def test_a_training_that_was_stopped_goes_on(fitted, photos, tmp_path, monkeypatch):
    from adbench.training import Training

    monkeypatch.setattr("adbench.api.training.loop.LOOK", 1)
    monkeypatch.setattr("adbench.api.training.checkpoint.EVERY", 2)
    known, taken, steps = photos(6), Training._step, []
    whole = fitted(known).state()
    ctx = Context(workdir=tmp_path, cache=tmp_path / "cache")

    def killed(self):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return taken(self)

    monkeypatch.setattr(Training, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(known, ctx=ctx)
    assert same(fitted(known, ctx=ctx).state(), whole)
    assert len(steps) == 4 + 3
    assert not list(tmp_path.rglob("*.safetensors"))


@given(names=st.permutations(["layer1", "layer2"]))
def test_the_finest_layer_comes_first(names):
    from adbench_anomalib.examples import shown

    asked = features(torch.zeros(1, 3, 24, 32))
    ordered = asked.having(layers={name: asked.layers[name] for name in names})
    found = shown(ordered, frozenset({"layers"}), "bank")
    assert found.layout.layers == ((3, 6, 8), (3, 3, 4))
    assert found.images is None


def test_examples_come_back_as_they_were(photos, tmp_path):
    from adbench_anomalib.examples import Examples

    known = photos(5)
    with Examples(frozenset({"layers", "images"}), "bank", tmp_path) as examples:
        examples.add(Shots(known[:3], known[3:]))
        found = examples.batch([4, 0])
    assert torch.equal(found.images, known[[4, 0]])
    assert torch.equal(found.layers[1], features(known[[4, 0]]).layers["layer2"].permute(0, 3, 1, 2))
    assert len(examples) == 5


def test_layers_and_images_together(fitted, photos):
    bank = fitted(photos(5), model="fake-layers")
    assert bank.needs == {"layers", "images"}
    with pytest.raises(ContractError, match=r"learned layers of \[3, 3\] channels, but is asked about \[2, 2\]"):
        asked = features(photos(1))
        bank.energy(asked.having(layers={name: layer[..., :2] for name, layer in asked.layers.items()}))


def test_a_record_knows_whose_code_runs():
    assert Anomalib().identity()["implementation"] == "anomalib 2.7.0"


# ---- what is refused


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": -1}, {"batch": 0}, {"rate": 0}, {"rate": float("nan")}])
def test_a_budget_of_nothing_is_refused(options):
    with pytest.raises(UsageError, match="of bank 'anomalib'"):
        Anomalib(**options)


@pytest.mark.parametrize("model", sorted(WITHOUT))
def test_a_model_that_cannot_run_here_says_why(model):
    with pytest.raises(UsageError, match=f"anomalib's {model} cannot run here: "):
        Anomalib(model=model)


def test_a_model_that_nobody_knows():
    with pytest.raises(UsageError, match="anomalib has no model 'stpfm'; did you mean 'stfpm'"):
        Anomalib(model="stpfm")


def test_another_implementation_is_refused():
    with pytest.raises(UsageError, match="anomalib 2.7.0"):
        Anomalib(implementation="anomalib 2.6.0")


@pytest.mark.parametrize("model", sorted(ADAPTERS))
def test_every_adapter_can_be_made_without_anomalib(model):
    assert Anomalib(model=model).needs <= {"layers", "images"}


@pytest.mark.parametrize("model", sorted(set(ADAPTERS) - {"stfpm"}))  # whose student may be any network of timm's
def test_an_architecture_that_a_model_does_not_have(model):
    with pytest.raises(UsageError, match=f"model '{model}' has no architecture 'vgg99'; (name one of|leave)"):
        Anomalib(model=model, architecture="vgg99")


def test_a_missing_anomalib_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(bank_module, "require_anomalib", require_anomalib)
    monkeypatch.setattr("adbench_anomalib.installation.version", lambda _: _raise_not_found())
    with pytest.raises(MissingAnomalib, match=r"needs anomalib 2.7.0, which is not installed; pip install 'adbench-"):
        Anomalib(model="fake").prepare(Context(workdir=tmp_path))


def _raise_not_found():
    from importlib.metadata import PackageNotFoundError

    raise PackageNotFoundError("anomalib")


def test_another_version_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(bank_module, "require_anomalib", require_anomalib)
    monkeypatch.setattr("adbench_anomalib.installation.version", lambda _: "2.6.1")
    with pytest.raises(MissingAnomalib, match=r"but 2.6.1 is installed; pip install anomalib==2.7.0"):
        Anomalib(model="fake").prepare(Context(workdir=tmp_path))


def test_no_adapter_is_imported_with_anomalib(monkeypatch):
    """Importing anomalib takes more than ten seconds, and options are read by every command."""
    import sys

    for model in sorted(ADAPTERS):
        Anomalib(model=model)
    assert "anomalib" not in sys.modules


def test_the_teachers_weights_are_never_downloaded(tmp_path):
    bank = Anomalib(model="efficient-ad", auxiliary=tmp_path)
    with pytest.raises(WeightsError, match=r"weights=PATH of pretrained_teacher_small\.pth"):
        bank.prepare(Context(workdir=tmp_path))


def test_cs_flows_encoder_is_never_downloaded(tmp_path):
    with pytest.raises(
        WeightsError, match=r"download https://download\.pytorch\.org/\S+\.pth and give weights=PATH of it"
    ):
        Anomalib(model="csflow").prepare(Context(workdir=tmp_path))


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("dinomaly", "timm/vit_base_patch14_reg4_dinov2.lvd142m"),
        ("foundad", "timm/vit_base_patch14_dinov2.lvd142m"),
        ("glass", "timm/wide_resnet50_2.racm_in1k"),
        ("inp-former", "timm/vit_base_patch14_reg4_dinov2.lvd142m"),
        ("patchflow", "timm/tf_efficientnet_b5.ns_jft_in1k"),
        ("uninet", "timm/wide_resnet50_2.tv2_in1k"),
    ],
)
def test_weights_that_the_hub_has(model, file, monkeypatch, tmp_path):
    asked = []

    def hub_file(repo, name):
        asked.append(f"{repo}/{name}")
        (tmp_path / name).write_bytes(b"weights")
        return tmp_path / name

    module = ADAPTERS[model].partition(":")[0]
    monkeypatch.setattr(f"{'adbench_anomalib.models.dinomaly' if model == 'inp-former' else module}.hub_file", hub_file)
    bank = Anomalib(model=model)
    bank.prepare(Context(workdir=tmp_path))
    assert asked == [f"{file}/model.safetensors"]
    assert [one.name for one in bank.weights()] == asked


def test_dinomalys_encoder_that_the_hub_does_not_give_is_one_sentence(monkeypatch, tmp_path):
    def hub_file(repo, name):
        raise WeightsError(f"the weights {repo}/{name} are not cached")

    monkeypatch.setattr("adbench_anomalib.models.dinomaly.hub_file", hub_file)
    with pytest.raises(
        WeightsError, match=r"timm/vit_base_patch14_reg4_dinov2.lvd142m/model.safetensors are not cached"
    ):
        Anomalib(model="dinomaly").prepare(Context(workdir=tmp_path))


def test_weights_of_its_own_are_in_the_record(fitted, photos, tmp_path):
    """Random ones by their content, which their seed decides and not that of the run."""
    found = {}
    for number, (seed, random_seed) in enumerate([(0, 3), (1, 3), (0, 4)]):
        bank = Anomalib(model="fake-own", weights="random", random_seed=random_seed)
        bank.prepare(Context(seed=seed, workdir=tmp_path))
        (found[number],) = bank.weights()
    assert found[0] == found[1]
    assert found[0].random
    assert found[0].name == "random:3"
    assert found[0].sha256 != found[2].sha256
    (tmp_path / "model.pth").write_bytes(b"weights")
    bank = Anomalib(model="dinomaly", weights=tmp_path / "model.pth")
    bank.prepare(Context(workdir=tmp_path))
    assert [(one.name, one.random) for one in bank.weights()] == [("model.pth", False)]
    assert Anomalib(model="stfpm").weights() == ()


def test_efficient_ad_wants_natural_images(tmp_path):
    with pytest.raises(UsageError, match="learns from natural images such as ImageNette's, too; give auxiliary=FOLDER"):
        Anomalib(model="efficient-ad").prepare(Context(workdir=tmp_path))
    with pytest.raises(UsageError, match="auxiliary names a folder of images, and .* is none"):
        Anomalib(model="efficient-ad", auxiliary=tmp_path / "missing")


def test_other_images_count_by_their_content(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(b"1")
    shutil.copytree(tmp_path / "one", tmp_path / "two" / "one")
    folders = (tmp_path / "one", tmp_path / "two" / "one")
    first, copied = (Anomalib(model="draem", auxiliary=folder) for folder in folders)
    before = first.identity()["auxiliary"]
    assert before == copied.identity()["auxiliary"]
    (tmp_path / "one" / "a.png").write_bytes(b"2")
    assert first.identity()["auxiliary"] != before


def test_images_that_the_network_cannot_read(fitted, photos):
    with pytest.raises(UsageError, match=r"multiples of 8 and have at least 16 pixels, not 20 x 32; resize"):
        fitted(photos(2, height=20))


def test_images_that_are_not_square(fitted, photos, monkeypatch):
    monkeypatch.setattr(FakeAdapter, "square", True)
    with pytest.raises(UsageError, match="model 'fake' reads square images alone, not 24 x 32; resize them"):
        fitted(photos(2))
    assert fitted(photos(2, height=32)).energy(features(photos(1, height=32))).shape == (1, 32, 32)


def test_no_images(fitted):
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted()


def test_images_of_two_sizes(fitted, photos):
    with pytest.raises(DataError, match="of one size, 24 x 32 pixels, but an image has 24 x 40 pixels"):
        fitted(photos(2), photos(2, width=40))


def test_a_full_disk_is_told_before_it_is_full(fitted, photos, monkeypatch):
    monkeypatch.setattr("adbench_anomalib.examples.shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(UsageError, match=r"keeps 0.0 GB of 2 images in .*; set TMPDIR"):
        fitted(photos(2))


def test_another_size_than_learned(fitted, photos):
    with pytest.raises(DataError, match="learned from images of 24 x 32 pixels, but an image has 24 x 40"):
        fitted(photos(2)).energy(features(photos(1, width=40)))


def test_images_that_are_not_given(fitted, photos):
    bank = fitted(photos(2))
    with pytest.raises(ContractError, match="reads the prepared images, but is given none"):
        bank.energy(features(photos(1)).having(images=None))


def test_values_that_are_not_finite_are_refused_by_name(fitted, photos):
    known = photos(3)
    known[2, 0, 0, 0] = torch.nan
    with pytest.raises(ContractError, match="image 'batch 0/2' has NaN or infinity"):
        fitted(known)


def test_a_loss_that_is_not_finite_names_the_step(fitted, photos):
    with pytest.raises(
        UsageError, match=r"bank 'anomalib': its loss became (nan|inf) at step \d+ of 60; use a smaller"
    ):
        fitted(photos(4), rate=1e30, steps=60)


def test_nothing_learned_yet(photos):
    with pytest.raises(UsageError, match="learned nothing yet"):
        Anomalib(model="fake").energy(features(photos(1)))


def test_the_fakes_are_no_part_of_the_package():
    from adbench_anomalib.models import catalog

    assert not set(FAKES) & set(catalog.WITHOUT)
