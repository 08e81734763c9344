"""Text, against open_clip itself."""

from __future__ import annotations

import json

import pytest
import torch
from adbench_clip.loading import ModelSource, text_tower
from adbench_clip.options import ModelConfig
from adbench_clip.text import TextEncoder

from adbench import UsageError
from adbench.weights import WeightsSource

SENTENCES = ["a photo of a bottle.", "a photo of the damaged Metal_Nut for visual inspection.", "weld"]


@pytest.fixture
def encoder(tiny, whole):
    config = ModelConfig(architecture=tiny, weights=whole[1])
    return TextEncoder(
        text_tower(config, ModelSource(WeightsSource(whole[1], "tiny", 0)), "test"), config.made_of, "test"
    )


@pytest.mark.slow
@pytest.mark.proves("winclip", "winclip-few", "april-gan", "april-gan-few")
def test_sentences_are_read_as_open_clip_reads_them(encoder, whole):
    import open_clip

    tokens = open_clip.tokenize(SENTENCES, context_length=24)
    with torch.no_grad():
        expected = whole[0].encode_text(tokens)
    torch.testing.assert_close(encoder.encode(SENTENCES), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


def test_a_tower_that_is_built_otherwise_is_asked_as_it_is(encoder, whole):
    import open_clip

    encoder._tower.text_pool_type = "last"
    tokens = open_clip.tokenize(SENTENCES, context_length=24)
    with torch.no_grad():
        expected = encoder._tower.encode_text(tokens)
    assert torch.equal(encoder.encode(SENTENCES), expected)


def test_many_sentences_are_read_in_parts(encoder, monkeypatch):
    together = encoder.encode(SENTENCES)
    monkeypatch.setattr("adbench_clip.text.AT_ONCE", 2)
    torch.testing.assert_close(encoder.encode(SENTENCES), together)


def test_a_sentence_that_would_be_cut_off_is_refused(encoder):
    encoder.encode(["weld " * 22])
    with pytest.raises(UsageError, match=r"test: the prompt 'weld weld .* is 25 tokens long, .* reads 24; shorten"):
        encoder.encode(["weld", "weld " * 23])


def test_a_model_without_text_tower_is_reported(tiny, tmp_path):
    content = json.loads(tiny.read_text())
    del content["text_cfg"]
    (tmp_path / "blind.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="test: blind has no text tower to read prompts; use a CLIP model that has"):
        text_tower(
            ModelConfig(architecture=tmp_path / "blind.json"), ModelSource(WeightsSource(None, "random", 0)), "test"
        )


@pytest.mark.parametrize("foreign", [{"custom_text": True}, {"text_cfg": {"hf_model_name": "roberta-base"}}])
def test_text_of_another_library_is_refused(tiny, tmp_path, foreign):
    (tmp_path / "other.json").write_text(json.dumps(json.loads(tiny.read_text()) | foreign))
    with pytest.raises(UsageError, match="test: other reads text in a way of its own"):
        text_tower(
            ModelConfig(architecture=tmp_path / "other.json"), ModelSource(WeightsSource(None, "random", 0)), "test"
        )
