"""A folder for the Hub has the scores of the run and is read by `datasets`; a Space is the boards and a head."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from adbench_huggingface.card import _plain
from PIL import Image

from adbench.cli import call
from adbench.records import ScoredRun, read_runs, scored_runs

BOARDS = Path(__file__).parents[3] / "leaderboards"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods on the same twelve images of the demo."""
    out = tmp_path_factory.mktemp("work") / "runs"
    few = ["--data", "demo", "--category", "brick", "--limit-train", "4", "--limit-test", "2", "--no-figures"]
    for scorer in ("toy-nearest:k=1", "toy-nearest:k=3"):
        method = ["--backbone", "toy-pixels", "--scorer", scorer, "--device", "cpu", "--cache", "none"]
        assert call(["run", *method, *few, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def folder(runs):
    assert call(["huggingface", "dataset", str(runs), "--out", str(runs.parent / "hub")]) == 0
    return runs.parent / "hub"


def rows_of(folder):
    return [json.loads(line) for line in (folder / "scores" / "metadata.jsonl").read_text().splitlines()]


def head_of(file):
    _, head, text = file.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def test_a_row_has_the_score_and_the_map_of_its_image(runs, folder):
    images = [(run, image) for run in scored_runs(read_runs(runs)) for image in run.images()]
    rows = rows_of(folder)
    assert [(row["record"], row["image_id"], row["score"]) for row in rows] == [
        (run.record.id, image.id, image.score) for run, image in images
    ]
    for row, (run, image) in zip(rows, images, strict=True):
        levels = np.asarray(Image.open(folder / "scores" / row["map_file_name"]), np.float64)
        values = row["map_low"] + levels / 255 * (row["map_high"] - row["map_low"])
        np.testing.assert_allclose(values, image.map, atol=(row["map_high"] - row["map_low"]) / 500)
        mask = np.asarray(Image.open(folder / "scores" / row["mask_file_name"]))
        np.testing.assert_array_equal(mask == 255, image.mask)
        photograph = np.asarray(Image.open(folder / "scores" / row["image_file_name"]))
        np.testing.assert_array_equal(photograph, run.pixels(image.id))
        assert row["defective"] == (image.defect != "good") == image.mask.any()


def test_the_card_has_the_figures_of_each_run(runs, folder):
    head, text = head_of(folder / "README.md")
    assert head["configs"][0]["data_files"] == [{"split": "test", "path": "scores/**"}]
    for run in read_runs(runs):
        figure = f"{100 * run.record.metrics['pixel-ap'].value:.1f}"
        assert any(figure in line and "toy-nearest" in line for line in text.splitlines() if line.startswith("|"))
    assert "anybody may publish these images" in text
    assert len((folder / "figures.jsonl").read_text().splitlines()) == sum(
        len(run.record.metrics) for run in read_runs(runs)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # of the library and of what it imports
def test_the_library_reads_it(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    found = datasets.load_dataset(str(folder), split="test", cache_dir=str(tmp_path))
    rows = rows_of(folder)
    assert found["score"][:] == [row["score"] for row in rows]
    assert {"image", "map", "mask"} <= {name for name, kind in found.features.items() if type(kind).__name__ == "Image"}
    assert found[0]["map"].size == Image.open(folder / "scores" / rows[0]["map_file_name"]).size


def test_photographs_stay_away_when_nobody_may_publish_them(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("adbench.builtin.demo.Demo.may_be_shown", False)
    assert call(["huggingface", "dataset", str(runs), "--out", str(tmp_path / "hub")]) == 0
    assert "24 rows of 2 runs" in (shown := capsys.readouterr().out)
    assert "24 without photograph" in shown
    assert {row["image_file_name"] for row in rows_of(tmp_path / "hub")} == {None}
    assert not (tmp_path / "hub" / "scores" / "images").exists()
    assert "unknown to adbench" in (tmp_path / "hub" / "README.md").read_text()
    assert call(["huggingface", "dataset", str(runs), "--images", "--out", str(tmp_path / "forced")]) == 0
    assert "not everybody may publish the images of demo" in capsys.readouterr().err
    assert len(list((tmp_path / "forced" / "scores" / "images").rglob("*.png"))) == 12, "two methods share them"


def test_an_alarm_is_a_score_above_the_threshold(runs, folder, tmp_path, monkeypatch):
    middle = sorted(row["score"] for row in rows_of(folder))[12]
    monkeypatch.setattr(ScoredRun, "threshold", middle)
    assert call(["huggingface", "dataset", str(runs), "--out", str(tmp_path / "hub"), "--no-images"]) == 0
    rows = rows_of(tmp_path / "hub")
    assert {row["threshold"] for row in rows} == {middle}
    assert [row["alarm"] for row in rows] == [row["score"] > middle for row in rows]
    assert any(row["score"] == middle and not row["alarm"] for row in rows)


def test_a_folder_that_is_not_empty_is_left_alone(runs, folder, capsys):
    before = (folder / "README.md").read_bytes()
    assert call(["huggingface", "dataset", str(runs), "--out", str(folder)]) == 2
    assert "is not empty; give a new folder" in capsys.readouterr().err
    assert (folder / "README.md").read_bytes() == before


def test_runs_without_a_result_are_an_error(runs, tmp_path, capsys):
    (folder,) = list(runs.iterdir())[:1]
    record = json.loads((folder / "record.json").read_text()) | {"status": "timeout", "predictions": None}
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "record.json").write_text(json.dumps(record))
    assert call(["huggingface", "dataset", str(tmp_path / "failed"), "--out", str(tmp_path / "hub")]) == 2
    assert "no run has a result" in capsys.readouterr().err
    assert not (tmp_path / "hub").exists()


def test_a_card_holds_no_markup_of_strangers():
    assert _plain("[x](javascript:y) <b>|\n# z") == r"\[x\](javascript:y) \<b\>\| \# z"


def test_a_space_is_the_boards_with_a_head(tmp_path):
    out = tmp_path / "space"
    assert call(["huggingface", "space", str(BOARDS), "--out", str(out), "--title", "Boards: today's"]) == 0
    head, text = head_of(out / "README.md")
    assert head == {"title": "Boards: today's", "sdk": "static", "app_file": "index.html", "pinned": False}
    assert text == (BOARDS / "README.md").read_text(encoding="utf-8")
    files = {file.relative_to(BOARDS) for file in BOARDS.rglob("*") if file.is_file()}
    assert {file.relative_to(out) for file in out.rglob("*") if file.is_file()} == files
    assert (out / "index.html").read_bytes() == (BOARDS / "index.html").read_bytes()


def test_a_space_follows_no_links(tmp_path):
    boards = tmp_path / "boards"
    (boards / "assets").mkdir(parents=True)
    (boards / "index.html").write_text("page")
    (tmp_path / "secret").write_text("mine")
    (boards / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "current").symlink_to(boards)
    assert call(["huggingface", "space", str(tmp_path / "current"), "--out", str(tmp_path / "space")]) == 0
    assert sorted(file.name for file in (tmp_path / "space").iterdir()) == ["README.md", "index.html"]


def test_what_is_no_leaderboards_is_an_error(tmp_path, capsys):
    assert call(["huggingface", "space", str(tmp_path), "--out", str(tmp_path / "space")]) == 2
    assert "give the folder of all boards" in capsys.readouterr().err
