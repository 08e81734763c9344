"""`adbench evaluate --intervals`: intervals in the record, details beside it."""

import json

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.engine.evaluate.details import DETAILS_FILE, read_details
from adbench.engine.store.record import find_runs, read_record


@pytest.fixture
def folder(parts, tmp_path, capsys):
    """The run of a toy method on one category."""
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")
    assert call(["run", *method, "--data", str(parts), "--category", "bolt", "--out", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    (found,) = find_runs(tmp_path / "runs")
    return found


@pytest.fixture
def evaluate(folder, parts):
    return lambda *options: call(["evaluate", str(folder), "--data", str(parts), *options])


def test_every_figure_gets_an_interval_and_keeps_its_value(folder, evaluate, capsys):
    before = read_record(folder)
    assert evaluate("--intervals", "--draws", "100") == 0
    message = capsys.readouterr().out
    assert "intervals added: image-ap, image-auroc" in message
    assert "changed" not in message, "no figure has"
    after = read_record(folder)
    for name, info in after.metrics.items():
        assert info.value == before.metrics[name].value
        low, high = info.interval
        assert 0 <= low <= high <= 1
    assert after.model_copy(update={"metrics": before.metrics}) == before


def test_without_intervals_those_that_are_there_stay(folder, evaluate, capsys):
    evaluate("--intervals", "--draws", "100")
    before = read_record(folder)
    capsys.readouterr()
    assert evaluate() == 0
    assert capsys.readouterr().out == "1 run: nothing has changed\n"
    assert read_record(folder) == before


def test_intervals_again_change_nothing_and_write_nothing(folder, evaluate, capsys):
    evaluate("--intervals", "--draws", "100")
    times = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    capsys.readouterr()
    assert evaluate("--intervals", "--draws", "100") == 0
    assert capsys.readouterr().out == "1 run: nothing has changed\n"
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == times
    data = json.loads((folder / "record.json").read_text())
    data["metrics"]["pixel-ap"]["interval"] = [0.1, 1.0]
    (folder / "record.json").write_text(json.dumps(data))
    assert evaluate("--intervals", "--draws", "100") == 0
    assert capsys.readouterr().out == f"{folder}: intervals changed: pixel-ap\n"


def test_a_figure_that_changes_loses_its_interval(folder, evaluate, capsys):
    evaluate("--intervals", "--draws", "100")
    data = json.loads((folder / "record.json").read_text())
    data["metrics"]["image-ap"]["value"] = 0.123
    (folder / "record.json").write_text(json.dumps(data))
    capsys.readouterr()
    assert evaluate() == 0
    assert capsys.readouterr().out == f"{folder}: changed: image-ap 12.3 % -> 100 %\n"
    metrics = read_record(folder).metrics
    assert metrics["image-ap"].value != 0.123
    assert metrics["image-ap"].interval is None
    assert metrics["image-auroc"].interval is not None


def test_details_are_written_where_they_are_missing_or_of_another_run(folder, evaluate, capsys):
    (folder / DETAILS_FILE).unlink(missing_ok=True)
    evaluate()
    assert not (folder / DETAILS_FILE).exists(), "only where they are asked for"
    evaluate("--intervals", "--draws", "100")
    assert "details.json: new" in capsys.readouterr().out
    details = read_details(folder)
    assert details.id == read_record(folder).id
    assert set(details.by_defect) == {"spot"}
    kept = details.model_copy(update={"embedding": [(0.0, 0.0)] * len(details.images)})
    for other, wanted in ((kept, kept), (details.model_copy(update={"id": "a" * 64}), details)):
        (folder / DETAILS_FILE).write_text(json.dumps(other.to_json()))
        evaluate("--intervals", "--draws", "100")
        assert read_details(folder) == wanted


@pytest.fixture
def anew(folder, parts):
    """Runs the unit again, with a rule."""
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures", "--redo")
    where = ("--data", str(parts), "--category", "bolt", "--out", str(folder.parent))
    return lambda rule: call(["run", *method, *where, "--threshold", rule])


def test_a_threshold_is_set_anew_from_what_the_run_kept(folder, evaluate, anew, capsys):
    assert anew("sigma") == 0
    before = read_details(folder).threshold
    assert (before.method, before.normals) == ("sigma", 4)
    assert evaluate("--threshold", "sigma:k=1") == 0
    after = read_details(folder).threshold
    assert (after.method, after.k, after.normals, after.source) == ("sigma", 1.0, before.normals, before.source)
    assert str(after) in capsys.readouterr().out
    evaluate("--threshold", "none", "--intervals", "--draws", "100")
    assert read_details(folder).threshold == after, "it stays where no other is asked for"
    assert evaluate("--threshold", "conformal") == 0
    assert "conformal needs 19 normal images that the bank has not seen; there are 4" in capsys.readouterr().out


def test_what_the_rule_could_not_use_was_not_made_and_a_later_rule_says_how_to_get_it(folder, evaluate, anew, capsys):
    before = read_details(folder).threshold
    needs = "conformal needs 19 normal images that the bank has not seen; there are 4"
    assert (before.method, before.value, before.reason) == ("conformal", None, needs)
    assert evaluate("--threshold", "conformal") == 0, "the answer is known"
    assert f"no threshold: {needs}" in capsys.readouterr().out
    assert evaluate("--threshold", "conformal:alpha=0.01") == 0, "so is this one"
    assert "needs 99 normal images" in capsys.readouterr().out
    assert evaluate("--threshold", "sigma:k=1") == 1
    assert (
        f"because {needs.replace('19', '99')}; run it again with --redo --threshold sigma:k=1"
        in capsys.readouterr().err
    )
    assert anew("sigma:k=1") == 0
    assert evaluate("--threshold", "sigma:k=1") == 0


def test_a_run_without_normal_scores_says_how_to_get_them(folder, evaluate, anew, capsys):
    assert anew("none") == 0
    assert evaluate() == 0
    assert evaluate("--threshold", "sigma") == 1
    assert (
        "it stored no scores of normal images; run it again with --redo --threshold sigma:k=3"
        in capsys.readouterr().err
    )


def test_no_rule_is_refused(evaluate, capsys):
    assert evaluate("--threshold", "best") == 2
    assert "no such rule" in capsys.readouterr().err


def test_too_few_draws_are_refused(evaluate):
    assert evaluate("--intervals", "--draws", "10") != 0


def test_defects_that_a_grid_would_lose_are_counted_in_records_made_before(parts, tmp_path, capsys):
    """On a smaller grid, masks of an older adbench lost small defects without counting them."""
    for path in (parts / "bolt" / "ground_truth").glob("*/*.png"):
        drawn = np.zeros((64, 64), np.uint8)
        drawn[9:12, 21:24] = 255
        Image.fromarray(drawn).save(path)
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--no-figures", "--evaluation", "16")
    assert call(["run", *method, "--data", str(parts), "--category", "bolt", "--out", str(tmp_path / "runs")]) == 0
    (folder,) = find_runs(tmp_path / "runs")
    reported = read_record(folder)
    assert reported.facts["vanished_defects"] > 0
    assert "would vanish on 16x16 pixels" in " ".join(capsys.readouterr().err.split())
    data = json.loads((folder / "record.json").read_text())
    del data["facts"]["vanished_defects"]
    (folder / "record.json").write_text(json.dumps(data))
    assert call(["evaluate", str(folder), "--data", str(parts)]) == 0
    assert read_record(folder) == reported


@pytest.mark.slow
def test_many_runs_and_one_problem_are_one_line(folder, parts, tmp_path, capsys):
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")
    call(["run", *method, "--data", str(parts), "--seed", "0", "--seed", "1", "--out", str(folder.parent)])
    capsys.readouterr()
    assert call(["evaluate", str(folder.parent)]) == 0, "the data is where the runs found it"
    assert capsys.readouterr().out == "4 runs: nothing has changed\n"
    parts.rename(tmp_path / "moved")
    assert call(["evaluate", str(folder.parent)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: 4 runs (")
    assert line.endswith(
        f"and 1 more): its images were in {parts}, but are not there any more; give its place with --data PATH"
    )
    assert call(["evaluate", str(folder.parent), "--data", str(tmp_path / "moved")]) == 0


def test_runs_that_did_not_end_well_are_left_out_in_one_line(folder, parts, capsys):
    for name in ("a", "b"):
        record = json.loads((folder / "record.json").read_text())
        record |= {"status": "failed", "reason": "x", "predictions": None, "metrics": {}}
        (folder.parent / name).mkdir()
        (folder.parent / name / "record.json").write_text(json.dumps(record))
    assert call(["evaluate", str(folder.parent)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("2 runs (")
    assert line.endswith(": left out: it ended as 'failed', without predictions")


def test_the_record_holds_no_path_and_its_neighbour_does(folder, parts):
    assert str(parts.parent) not in (folder / "record.json").read_text()
    origin = json.loads((folder / "origin.json").read_text())
    assert (origin["dataset"], origin["options"]["root"]) == ("folder", str(parts))


def test_a_run_by_a_relative_path_is_found_from_anywhere(parts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(parts.parent)
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")
    assert call(["run", *method, "--data", "./parts", "--category", "bolt", "--out", "here"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert call(["evaluate", "../here"]) == 0
