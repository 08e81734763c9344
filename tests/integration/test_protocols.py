"""Protocols that change images, from the command line to the board, with the toy components."""

import json
import re

import pytest

from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

TOY = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")


@pytest.fixture
def run(parts, tmp_path, capsys):
    def run(*arguments, out="runs"):
        code = call(["run", *TOY, "--data", str(parts), "--out", str(tmp_path / out), *arguments])
        return code, capsys.readouterr()

    return run


@pytest.fixture
def records(tmp_path):
    return lambda: [read_record(folder) for folder in find_runs(tmp_path / "runs")]


@pytest.mark.slow
def test_contaminated_rows_have_their_own_board(run, records, tmp_path, capsys):
    assert run("--category", "bolt")[0] == 0
    code, printed = run("--category", "bolt", "--contaminate", "0.2")
    assert code == 0
    assert "contaminate 0.2" in printed.out
    clean, dirty = sorted(records(), key=lambda record: record.regime.contamination)
    assert (dirty.regime.contamination, dirty.task.train, dirty.task.test) == (0.2, 5, 5)
    assert dirty.facts["defective_train"] == 1
    assert (dirty.regime.anomalies, dirty.task.duplicates) == (False, [])
    assert "contamination" not in clean.to_json()["regime"]
    assert "contaminate" not in clean.task.protocol
    boards = tmp_path / "boards"
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(boards)]) == 0
    assert sorted(path.parent.name for path in boards.glob("*/*/board.yaml")) == [
        "full-shot",
        "full-shot-contaminated-0.2",
    ]
    page = next(boards.glob("*/full-shot-contaminated-0.2/README.md")).read_text()
    assert "20 % of the training images defective" in page
    assert "20 % of the training images are defects" in page
    assert call(["board", "check", str(boards)]) == 0
    capsys.readouterr()


def test_an_edited_contamination_is_found(run, tmp_path, capsys):
    run("--category", "bolt", "--contaminate", "0.2")
    (folder,) = find_runs(tmp_path / "runs")
    record = json.loads((folder / "record.json").read_text())
    del record["regime"]["contamination"]
    (folder / "record.json").write_text(json.dumps(record))
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(tmp_path / "boards")]) == 1
    assert "contamination" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["0", "0.6", "-0.1", "nan", "much"])
def test_a_share_that_is_none_is_refused(run, share):
    code, printed = run("--contaminate", share)
    assert code == 2
    assert "--contaminate" in printed.err


def test_too_few_defects_are_a_failure_with_a_reason(run, records):
    assert run("--category", "bolt", "--contaminate", "0.5")[0] == 1
    (record,) = records()
    assert "needs 4 defective test images to learn from and one to judge; it has 3" in record.reason


@pytest.mark.slow
def test_corrupted_test_images_are_reported_by_the_run_and_on_the_board(run, records, tmp_path, capsys):
    code, printed = run("--corrupt", "defocus:5", "--corrupt", "shift", "--threshold", "quantile")
    assert code == 0
    assert "corrupted test images: change in points" in printed.out
    assert "false alarms, %  95 % interval" in re.sub(r" {3,}", "  ", printed.out)
    assert [row.split()[:2] for row in printed.out.splitlines() if row.startswith(("defocus", "shift"))] == [
        ["defocus", "5"],
        *([["shift", str(strength)] for strength in (1, 2, 3, 4, 5)]),
    ]
    boards = tmp_path / "boards"
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(boards)]) == 0
    page, text = (next(boards.glob(f"*/full-shot/{name}")).read_text() for name in ("README.md", "index.html"))
    for where in (page, text):
        assert "Corrupted test images, change of image-auroc" in where
        assert "Corrupted test images, false alarms" in where
    assert call(["board", "check", str(boards)]) == 0
    assert all("corrupt" not in json.dumps(record.to_json()) for record in records())
    code, printed = run("--corrupt", "shift:2")
    assert (code, "done before" in printed.err) == (0, True)
    assert "corrupted test images" in printed.out
    code, printed = run()
    assert (code, "corrupted test images" in printed.out) == (0, False)
    capsys.readouterr()


@pytest.mark.slow
def test_a_stream_that_drifts_is_reported_by_the_run_and_on_the_board(run, records, tmp_path, capsys):
    code, printed = run("--category", "bolt", "--drift", "noise:2", "--threshold", "quantile")
    assert code == 0
    assert "a stream that drifts to noise 2: figures in %" in printed.out
    assert "no updates along the stream: bank 'toy-vectors' learns from all images at once" in printed.err
    assert [row.split()[0] for row in printed.out.splitlines() if " to " in row[:30]][-10:] == [
        str(window) for window in range(1, 11)
    ]
    boards = tmp_path / "boards"
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(boards)]) == 0
    page, text = (next(boards.glob(f"*/full-shot/{name}")).read_text() for name in ("README.md", "index.html"))
    for where in (page, text):
        assert "Slowly changing test images, image AUROC" in where
        assert "Slowly changing test images, false alarms" in where
    assert call(["board", "check", str(boards)]) == 0
    assert all("drift" not in json.dumps(record.to_json()) for record in records())
    capsys.readouterr()


@pytest.mark.parametrize(("word", "message"), [("fog", "unknown corruption 'fog'"), ("noise:9", "noise:1 to noise:5")])
@pytest.mark.parametrize("option", ["--corrupt", "--drift"])
def test_a_corruption_that_nobody_knows_is_refused(run, option, word, message):
    code, printed = run(option, word)
    assert (code, message in printed.err) == (2, True)


def test_a_suite_names_corruptions_and_contamination(parts, tmp_path, capsys):
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        f"""
suite: mine
tasks:
  - {{data: {parts}, categories: bolt, corrupt: [noise:1, jpeg], contaminate: 0.2}}
grid: {{backbone: toy-pixels, scorer: toy-nearest}}
"""
    )
    arguments = ("--out", str(tmp_path / "runs"), "--device", "cpu", "--no-figures")
    assert call(["run", "--suite", str(suite), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "contaminate 0.2" in printed
    assert printed.count("\njpeg ") == 5
    suite.write_text(suite.read_text().replace("noise:1", "fog"))
    assert call(["run", "--suite", str(suite), *arguments]) == 2
    assert "unknown corruption 'fog'" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_report_corrupted_images_too(run):
    code, printed = run("--category", "bolt", "--corrupt", "jpeg:1", "--executor", "process:workers=1")
    assert code == 0
    assert "\njpeg 1" in printed.out


@pytest.mark.slow
def test_one_model_for_all_categories_has_its_own_board(run, records, tmp_path, capsys):
    assert run("--shots", "2")[0] == 0
    code, printed = run("--model-per", "dataset", "--shots", "2")
    assert code == 0
    assert "model-per dataset" in printed.out
    together = [record for record in records() if record.regime.all_categories]
    assert [(record.task.category, record.task.train, record.task.test) for record in together] == [
        ("bolt", 4, 6),
        ("nut", 4, 6),
    ]
    boards = tmp_path / "boards"
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(boards)]) == 0
    assert sorted(path.parent.name for path in boards.glob("*/*/board.yaml")) == ["2-shot", "2-shot-one-model"]
    page = next(boards.glob("*/2-shot-one-model/README.md")).read_text()
    assert "2-shot, one model for all categories" in page
    assert call(["board", "check", str(boards)]) == 0
    capsys.readouterr()
