import json
import lzma
from pathlib import Path

import pytest

from adbench.cli import call

ROOT = Path(__file__).parents[4]


def shown(capsys, *arguments):
    assert call(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_a_recipe_shows_its_parts_in_order_with_filled_defaults(capsys):
    text = shown(capsys, "patchcore-lite")
    lines = text.splitlines()
    assert lines[0] == "recipe: patchcore-lite"
    parts = lines[lines.index("parts:") + 1 :]
    assert [line.split(":")[0].strip() for line in parts[:6]] == [
        "preprocess",
        "backbone",
        "neck",
        "bank",
        "scorer",
        "aggregate",
    ]
    assert "  bank: coreset:fraction=0.01" in lines
    assert "run it: adbench run --recipe patchcore-lite --data PATH" in lines


def test_a_part_is_written_as_the_command_line_reads_it(capsys):
    from adbench.engine.plan.recipe import Part

    facts = json.loads(shown(capsys, "patchcore-lite", "--json"))
    assert Part.parse(facts["parts"]["scorer"]).options == {"k": "1", "reweight": "9", "reweight_form": "anomalib"}


def test_a_component_shows_its_options(capsys):
    facts = json.loads(shown(capsys, "knn", "--json"))
    assert facts["scorer"] == "knn"
    assert facts["options"]["k"].endswith("(default 1)")
    assert "Eq. 7" in facts["about"]


def test_an_option_shows_its_choices(capsys):
    facts = json.loads(shown(capsys, "align", "--json"))
    assert facts["options"]["border"].endswith("(default wrap; or edge)")
    assert facts["options"]["mirror"].endswith("(default False)")


def test_a_dataset_shows_licence_source_and_place(capsys):
    text = shown(capsys, "mvtec-ad")
    assert "licence: CC BY-NC-SA 4.0" in text
    assert "source: https://" in text
    assert "here: " in text


def test_a_recipe_file_is_shown(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: mine\nbackbone: toy\nscorer: knn\n")
    assert "backbone: toy" in shown(capsys, str(file))


def test_a_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("knn").mkdir()
    assert shown(capsys, "knn").startswith("scorer: knn")
    assert call(["show", "./knn"]) == 1
    assert "knn" in capsys.readouterr().err


def test_a_folder_that_is_no_run_says_what_can_be_shown(tmp_path, capsys):
    assert call(["show", str(tmp_path)]) == 1
    assert f"'adbench data show {tmp_path}' draws a folder of images" in capsys.readouterr().err
    (tmp_path / "mine.yaml").write_text("recipe: mine\nbackbone: toy\nscorer: knn\n")
    assert call(["show", str(tmp_path)]) == 1
    assert f"name one thing in it, such as 'adbench show {tmp_path / 'mine.yaml'}'" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text("{}")
    assert call(["show", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"such as 'adbench show {tmp_path / 'run'}'" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("patchcore-light", "did you mean 'patchcore-lite'"),
        ("nothing.adbench", "nothing.adbench"),
        ("none.json", "none.json"),
        ("none.yaml", "none.yaml"),
    ],
)
def test_what_is_not_there_is_one_sentence(what, message, capsys):
    assert call(["show", what]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_record_shows_its_figures(tmp_path, capsys):
    board = ROOT / "leaderboards" / "demo" / "full-shot" / "records"
    line = lzma.decompress(min(board.glob("padim-*.jsonl.xz")).read_bytes()).decode().splitlines()[0]
    (tmp_path / "record.json").write_text(line)
    record = json.loads(line)
    facts = json.loads(shown(capsys, str(tmp_path), "--json"))
    assert facts == record
    text = shown(capsys, str(tmp_path))
    assert f"record: {record['id']}" in text
    assert f"  image-auroc: {record['metrics']['image-auroc']['value']:.4f}" in text
