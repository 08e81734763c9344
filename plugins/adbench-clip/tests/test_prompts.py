"""The bank of prompts: what is averaged, and what it is told of the object."""

from __future__ import annotations

import json

import pytest
import torch
from adbench_clip.prompts import Prompts

from adbench import Context, Source, UsageError


@pytest.fixture
def made(tiny, whole, ready):
    def made(class_name=None, **options):
        bank = ready(Prompts(architecture=tiny, weights=whole[1], **options), class_name=class_name)
        bank.fit(None, Context())
        return bank

    return made


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("normal: ['a {}', 'a flawless {}']\nabnormal: ['a broken {}']\n")
    return file


@pytest.fixture
def read(whole):
    """Embeddings by open_clip itself."""
    import open_clip

    def read(*sentences):
        with torch.no_grad():
            return whole[0].encode_text(open_clip.tokenize(list(sentences), context_length=24))

    return read


def test_the_mean_of_embeddings_as_they_are(made, own, read):
    bank = made(prompts=own, word="weld")
    torch.testing.assert_close(bank.normal, read("a weld", "a flawless weld").mean(0, keepdim=True))
    torch.testing.assert_close(bank.abnormal, read("a broken weld"))


def test_the_mean_of_embeddings_of_unit_length(made, own, read):
    embeddings = read("a object", "a flawless object")
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    torch.testing.assert_close(made(prompts=own, mean_of="unit").normal, unit.mean(0, keepdim=True))


@pytest.mark.slow
def test_the_name_is_used_where_it_is_asked_for(made, own, read):
    torch.testing.assert_close(made("metal_nut", prompts=own, told=True).abnormal, read("a broken metal nut"))
    torch.testing.assert_close(
        made("metal_nut", prompts=own, told=True, spelling="raw").abnormal, read("a broken metal_nut")
    )


@pytest.mark.slow
def test_the_name_is_left_alone_where_it_is_not(made, own):
    assert torch.equal(made("metal_nut", prompts=own).normal, made(prompts=own).normal)


def test_only_who_wants_the_name_needs_it():
    assert Prompts(told=True).needs == {"class_name"}
    assert Prompts().needs == Prompts.needs == frozenset()


def test_a_name_that_was_not_told_is_missed(made):
    with pytest.raises(UsageError, match=r"needs the object's name.*\(--allow class-names\)"):
        made(told=True)


def test_it_learns_from_nothing_and_says_so_when_it_has_not():
    assert Prompts.learns_from is Source.NOTHING
    with pytest.raises(UsageError, match="bank 'prompts' has learned nothing yet"):
        _ = Prompts().normal


@pytest.mark.slow
def test_facts_count_prompts(made, tiny, ready):
    facts = {"normal_prompts": 154, "abnormal_prompts": 88, "random_text_weights": 0}
    assert made().facts() == facts
    random = ready(Prompts(architecture=tiny, weights="random"))
    assert random.facts() == {**facts, "random_text_weights": 1}


def test_a_set_that_is_misspelt_is_reported():
    with pytest.raises(UsageError, match=r"neither a set of prompts \(april-gan, winclip, winclip-anomalib\) nor a f"):
        Prompts(prompts="winclop")


def test_malformed_prompts_are_reported_before_weights_are_looked_for(tmp_path, ready):
    (tmp_path / "own.yaml").write_text("normal: []\n")
    with pytest.raises(UsageError, match="'normal' is no list of texts, or empty"):
        ready(Prompts(prompts=tmp_path / "own.yaml"))


def test_a_file_of_prompts_enters_the_identity_by_content(own):
    identity = Prompts(prompts=own, weights="random").identity()
    assert identity["prompts"]["file"] == "own.yaml"
    assert len(identity["prompts"]["sha256"]) == 64
    assert Prompts(weights="random").identity()["prompts"] == "winclip"


def test_a_model_without_text_tower_is_reported_at_once(tiny, tmp_path, ready):
    content = json.loads(tiny.read_text())
    del content["text_cfg"]
    (tmp_path / "blind.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="bank 'prompts': blind has no text tower to read prompts"):
        ready(Prompts(architecture=tmp_path / "blind.json", weights="random"))
