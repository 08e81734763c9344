"""`adbench evaluate --intervals`: intervals in the record, details beside it."""

import json

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.engine.details import DETAILS_FILE, read_details
from adbench.engine.record import find_runs, read_record


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
    assert "changed: image-ap, image-auroc" in capsys.readouterr().out
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
    assert "8 metrics, none changed" in capsys.readouterr().out
    assert read_record(folder) == before


def test_a_figure_that_changes_loses_its_interval(folder, evaluate):
    evaluate("--intervals", "--draws", "100")
    data = json.loads((folder / "record.json").read_text())
    data["metrics"]["image-ap"]["value"] = 0.123
    (folder / "record.json").write_text(json.dumps(data))
    assert evaluate() == 0
    metrics = read_record(folder).metrics
    assert metrics["image-ap"].value != 0.123
    assert metrics["image-ap"].interval is None
    assert metrics["image-auroc"].interval is not None


def test_details_are_written_where_they_are_missing_or_of_another_run(folder, evaluate):
    (folder / DETAILS_FILE).unlink(missing_ok=True)
    evaluate()
    assert not (folder / DETAILS_FILE).exists(), "only where they are asked for"
    evaluate("--intervals", "--draws", "100")
    details = read_details(folder)
    assert details.id == read_record(folder).id
    assert set(details.by_defect) == {"spot"}
    kept = details.model_copy(update={"embedding": [(0.0, 0.0)] * len(details.images)})
    for other, wanted in ((kept, kept), (details.model_copy(update={"id": "a" * 64}), details)):
        (folder / DETAILS_FILE).write_text(json.dumps(other.to_json()))
        evaluate("--intervals", "--draws", "100")
        assert read_details(folder) == wanted


def test_a_threshold_is_set_anew_from_what_the_run_kept(folder, evaluate, capsys):
    before = read_details(folder).threshold
    assert (before.method, before.alpha) == ("conformal", 0.05)
    assert evaluate("--threshold", "sigma:k=1") == 0
    after = read_details(folder).threshold
    assert (after.method, after.k, after.normals, after.source) == ("sigma", 1.0, before.normals, before.source)
    assert str(after) in capsys.readouterr().out
    evaluate("--threshold", "none", "--intervals", "--draws", "100")
    assert read_details(folder).threshold == after, "it stays where no other is asked for"


def test_a_run_without_normal_scores_says_how_to_get_them(folder, evaluate, parts, capsys):
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")
    assert (
        call(
            [
                "run",
                *method,
                "--data",
                str(parts),
                "--category",
                "bolt",
                "--out",
                str(folder.parent),
                "--redo",
                "--threshold",
                "none",
            ]
        )
        == 0
    )
    assert evaluate() == 0
    assert evaluate("--threshold", "sigma") == 1
    assert "it kept no scores of normal images; run it again with --redo" in capsys.readouterr().err


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
    told = read_record(folder)
    assert told.facts["vanished_defects"] > 0
    assert "would vanish on 16x16 pixels" in " ".join(capsys.readouterr().err.split())
    data = json.loads((folder / "record.json").read_text())
    del data["facts"]["vanished_defects"]
    (folder / "record.json").write_text(json.dumps(data))
    assert call(["evaluate", str(folder), "--data", str(parts)]) == 0
    assert read_record(folder) == told
