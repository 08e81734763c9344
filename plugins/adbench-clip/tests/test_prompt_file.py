"""Prompts: those that come with the package, and files of all sorts."""

from __future__ import annotations

import pytest
from adbench_clip.prompt_file import FOLDER, PromptSet, read_prompts

from adbench import UsageError


@pytest.mark.parametrize(
    ("name", "normal", "abnormal", "templates"),
    [("winclip", 7, 4, 22), ("winclip-anomalib", 7, 4, 21), ("april-gan", 7, 5, 35)],
)
def test_the_sets_have_the_sizes_that_their_sources_give(name, normal, abnormal, templates):
    prompts = read_prompts(FOLDER / f"{name}.yaml")
    assert (len(prompts.normal), len(prompts.abnormal), len(prompts.templates)) == (normal, abnormal, templates)


def test_only_anomalib_repeats_a_template():
    repeated = {
        path.stem: len(read_prompts(path).templates) - len(set(read_prompts(path).templates))
        for path in FOLDER.glob("*.yaml")
    }
    assert repeated == {"winclip": 0, "winclip-anomalib": 1, "april-gan": 0}


def test_every_state_in_every_template():
    prompts = PromptSet(("{}", "flawless {}"), ("damaged {}",), ("a photo of a {}.", "the {}"))
    assert prompts.sentences(prompts.normal, "metal nut") == [
        "a photo of a metal nut.",
        "the metal nut",
        "a photo of a flawless metal nut.",
        "the flawless metal nut",
    ]


def test_templates_may_be_left_out(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("normal: [a clean weld]\nabnormal: ['a {} with a crack']\nsource: ourselves\n")
    prompts = read_prompts(file)
    assert prompts.sentences(prompts.normal, "weld") == ["a clean weld"]
    assert prompts.sentences(prompts.abnormal, "weld") == ["a weld with a crack"]


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ("normal: [a, b", "give a YAML file, or one of april-gan, winclip"),
        ("- a\n- b\n", "this is no mapping; write lists"),
        ("", "this is no mapping"),
        ("normal: [a]\n", "'abnormal' is no list of texts, or empty"),
        ("normal: []\nabnormal: [a]\n", "'normal' is no list of texts, or empty"),
        ("normal: [3]\nabnormal: [a]\n", "'normal' is no list of texts"),
        ("normal: a\nabnormal: [a]\n", "'normal' is no list of texts"),
        ("normal: [' ']\nabnormal: [a]\n", "'normal' is no list of texts"),
        ("normal: [a]\nabnormal: [b]\ntemplates: [a photo]\n", "template 'a photo' needs exactly one {}"),
        ("normal: [a]\nabnormal: [b]\ntemplates: ['{} and {}']\n", "needs exactly one {}"),
        ("normal: ['a {name}']\nabnormal: [b]\n", "'a {name}' has braces other than {}"),
        ("normal: [a]\nabnormal: [b]\nstates: [c]\n", "there is no entry 'states'"),
    ],
)
def test_malformed_files_name_the_fault(tmp_path, content, reported):
    file = tmp_path / "own.yaml"
    file.write_text(content)
    with pytest.raises(UsageError) as refusal:
        read_prompts(file)
    assert str(file) in str(refusal.value)
    assert reported in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"own.yaml: .*No such file"):
        read_prompts(tmp_path / "own.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"own.yaml: .*decode"):
        read_prompts(tmp_path / "own.yaml")
