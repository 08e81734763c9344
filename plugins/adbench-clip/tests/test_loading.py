"""Weights: whole files, other people's files, and files that are not there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from adbench_clip.clip import Clip
from adbench_clip.loading import model_source, vision_tower
from adbench_clip.prompts import Prompts
from safetensors.torch import load_file, save_file

from adbench import Context, UnknownName, UsageError, WeightsError


def test_random_weights_depend_on_the_seed_alone_and_say_so(tiny, ready):
    def weights(seed):
        return ready(Clip(architecture=tiny, weights="random", random_seed=seed)).weights()[0]

    assert weights(1) == weights(1)
    assert weights(1).sha256 != weights(2).sha256
    assert weights(1).random


def test_a_file_is_named_by_name_and_content(tiny, whole, ready):
    from adbench.files import sha256_of

    (weights,) = ready(Clip(architecture=tiny, weights=whole[1])).weights()
    assert (weights.name, weights.sha256, weights.random) == ("tiny.safetensors", sha256_of(whole[1]), False)


def test_a_file_of_another_resolution_is_interpolated_as_open_clip_does_it(tiny, whole):
    from open_clip.model import CLIP, resize_pos_embed

    config = Clip(architecture=tiny, weights=whole[1]).config
    visual, _ = vision_tower(config, 48, model_source(config, "test"), "test")
    state = load_file(whole[1])
    resize_pos_embed(state, CLIP(**config.made_of.vision_config(48)))
    assert visual.grid_size == (6, 6)
    assert torch.equal(visual.positional_embedding, state["visual.positional_embedding"])


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.model."])
@pytest.mark.parametrize("beside", [{}, {"visual.head.weight": torch.ones(3)}, {"visual.fc.bias": torch.ones(3)}])
def test_what_training_leaves_and_half_precision_are_taken(prefix, beside, tiny, whole, tmp_path, ready, batch):
    state = {f"{prefix}{name}": tensor.half() for name, tensor in {**load_file(whole[1]), **beside}.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "training.pt")
    found, wanted = (
        ready(Clip(architecture=tiny, weights=path)).extract(batch(1)).image
        for path in (tmp_path / "training.pt", whole[1])
    )
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.05)


def read(tiny, path, ready):
    return ready(Prompts(architecture=tiny, weights=path)).prototypes(Context())


@pytest.mark.slow
def test_a_text_tower_apart_is_taken(tiny, whole, tmp_path, ready):
    state = load_file(whole[1])
    text = {f"text.{name}": tensor for name, tensor in state.items() if not name.startswith(("visual.", "logit"))}
    save_file(text, tmp_path / "text.safetensors")
    found, wanted = (read(tiny, path, ready) for path in (tmp_path / "text.safetensors", whole[1]))
    assert torch.equal(found["normal"], wanted["normal"])


def test_a_file_without_text_is_reported(tiny, whole, tmp_path, ready):
    path = tmp_path / "visual.safetensors"
    save_file({name: tensor for name, tensor in load_file(whole[1]).items() if name.startswith("visual.")}, path)
    ready(Clip(architecture=tiny, weights=path))
    with pytest.raises(WeightsError, match="has weights of a vision tower alone; give a file of the whole CLIP"):
        read(tiny, path, ready)


def test_weights_of_another_model_are_reported(tiny, tmp_path, ready):
    path = tmp_path / "other.safetensors"
    save_file({"visual.conv1.weight": torch.ones(1), "ln_final.weight": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match=r"'clip' \(tiny\): the weights are those of another model"):
        ready(Clip(architecture=tiny, weights=path))
    with pytest.raises(WeightsError, match=r"'prompts' \(tiny\): the weights are those of another model"):
        read(tiny, path, ready)


@pytest.mark.parametrize("kind", [Clip, Prompts])
def test_a_missing_file_is_reported_before_torch_is_asked(kind, tiny, tmp_path, ready):
    with pytest.raises(WeightsError, match=r"gone.pt: there is no such weights file; give weights=PATH"):
        ready(kind(architecture=tiny, weights=tmp_path / "gone.pt"))


def test_an_architecture_from_a_file_has_no_pretrained_weights(tiny, ready):
    with pytest.raises(UsageError, match="no pretrained weights of an architecture from a file; give weights=PATH"):
        ready(Clip(architecture=tiny))


def test_an_unknown_tag_has_a_suggestion():
    with pytest.raises(UnknownName, match="unknown tag 'laion400m_e33'.*did you mean 'laion400m_e3"):
        model_source(Clip(tag="laion400m_e33").config, "backbone 'clip'")


def test_weights_of_another_activation_name_the_model():
    with pytest.raises(UsageError, match="another activation; use model=ViT-L-14-336-quickgelu"):
        model_source(Clip(model="ViT-L-14-336", tag="openai").config, "backbone 'clip'")


def test_the_hubs_file_is_the_one_that_the_tag_pins(monkeypatch, tmp_path):
    asked, file = [], tmp_path / "open_clip_model.safetensors"
    file.touch()
    monkeypatch.setattr("adbench_clip.loading.hub_file", lambda *wanted: asked.append(wanted) or file)
    source = model_source(Clip().config, "backbone 'clip'")
    assert asked == [("timm/vit_base_patch16_plus_clip_240.laion400m_e31", "open_clip_model.safetensors")]
    assert source.weights.name == "timm/vit_base_patch16_plus_clip_240.laion400m_e31"
    assert source.mean == (0.48145466, 0.4578275, 0.40821073)


OFFLINE = """
from adbench import Context, WeightsError
from adbench_clip.clip import Clip
from adbench_clip.prompts import Prompts
for part in (Clip, Prompts):
    try:
        part().prepare(Context())
    except WeightsError as error:
        print(part.__name__, error)
"""
"""Both components in one process: to start one takes more time than the rest."""


@pytest.mark.slow
def test_offline_is_one_clear_error(tmp_path):
    surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    surroundings.pop("HF_HUB_CACHE", None)
    command = [sys.executable, "-c", OFFLINE]
    ended = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    reported = ended.stdout.splitlines()
    assert [line.partition(" ")[0] for line in reported] == ["Clip", "Prompts"]
    for line in reported:
        for part in ("timm/vit_base_patch16_plus_clip_240.laion400m_e31", str(tmp_path), "weights=PATH"):
            assert part in line


def test_the_global_generator_is_left_alone(tiny, ready):
    before = torch.get_rng_state()
    read(tiny, "random", ready)
    assert torch.equal(torch.get_rng_state(), before)
