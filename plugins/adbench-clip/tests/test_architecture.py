"""Architectures are read without open_clip, and architectures without a forward pass here are refused."""

from __future__ import annotations

import json

import pytest
from adbench_clip.architecture import architecture_of

from adbench import UnknownName, UsageError


def test_winclips_model():
    found = architecture_of("ViT-B-16-plus-240", None)
    assert (found.side, found.cell, found.depth) == (240, 16, 12)
    assert found.has_text
    assert not found.quick_gelu
    assert architecture_of("ViT-L-14-336-quickgelu", None).quick_gelu


def test_an_unknown_model_has_a_suggestion():
    with pytest.raises(UnknownName, match="unknown model 'ViT-B-17' of open_clip; did you mean"):
        architecture_of("ViT-B-17", None)


@pytest.mark.parametrize("model", ["RN50", "ViT-B-16-SigLIP", "coca_ViT-B-32", "convnext_base"])
def test_another_kind_of_model_is_refused(model):
    with pytest.raises(UsageError, match=f"{model} is no vision transformer of open_clip's own with a class token"):
        architecture_of(model, None)


@pytest.mark.parametrize(
    ("content", "reported"), [("{", "cannot be read"), ("[]", "no architecture"), ('{"embed_dim": 3}', "'vision_cfg'")]
)
def test_a_malformed_file_is_named(tmp_path, content, reported):
    file = tmp_path / "own.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=rf"own.json: .*{reported}"):
        architecture_of("", file)


def test_each_tower_is_built_beside_a_small_one(tiny):
    found = architecture_of("", tiny)
    assert found.vision_config(64)["vision_cfg"]["image_size"] == 64
    assert found.vision_config(None)["vision_cfg"]["image_size"] == 32
    assert found.vision_config(None)["text_cfg"]["vocab_size"] == 1
    assert found.text_config()["text_cfg"] == json.loads(tiny.read_text())["text_cfg"]
    assert found.content == json.loads(tiny.read_text())
