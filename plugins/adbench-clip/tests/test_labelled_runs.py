"""Methods with labels, from the command line to the board, on a small random CLIP."""

from __future__ import annotations

import json

import pytest

from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

pytestmark = pytest.mark.slow
LABELS = ("--allow", "labelled", "--defect-shots", "2")


@pytest.fixture
def run(tmp_path, tiny, capsys):
    def run(*more, bank="exemplars", scorer="max-exemplar"):
        model = f"architecture={tiny},weights=random"
        named = f"{bank}:{model},told=true" if bank == "exemplars-prompts" else bank
        words = ["run", "--backbone", f"clip:{model},windows=", "--bank", named, "--scorer", scorer, "--data", "demo"]
        words += ["--category", "grass", "--out", str(tmp_path / "runs"), "--cache", "none", "--no-figures"]
        code = call([*words, "--device", "cpu", *more])
        out, err = capsys.readouterr()
        return code, out, " ".join(err.split())

    return run


@pytest.fixture
def records(tmp_path):
    return lambda: [read_record(folder) for folder in find_runs(tmp_path / "runs")]


def test_exemplars_are_in_the_record_and_never_judged(run, records, tmp_path, capsys):
    code, out, _ = run(*LABELS, "--threshold", "quantile")
    assert (code, "defect-shots 2" in out) == (0, True)
    (record,) = records()
    assert record.regime.anomalies is True
    assert record.regime.train_images == record.task.train == record.facts["normal_exemplars"]
    exemplars = record.task.exemplars
    assert len(exemplars) == record.facts["defect_exemplars"] == 2 * record.facts["defect_types"]
    (folder,) = find_runs(tmp_path / "runs")
    judged = {image["id"] for image in json.loads((folder / "details.json").read_text())["images"]}
    assert (len(judged), judged & set(exemplars)) == (record.task.test, set())
    assert 0 < record.metrics["class-accuracy"].value <= 1
    assert record.facts["conformal_coverage"] >= 0.9
    assert call(["show", str(folder)]) == 0
    confusions = capsys.readouterr().out.partition("confusions")[2].splitlines()[1:]
    assert sum(int(cell) for line in confusions[1:] for cell in line.split(":")[1].split()) == record.task.test
    assert call(["evaluate", str(folder), "--data", "demo"]) == 0, capsys.readouterr()
    assert "nothing has changed" in capsys.readouterr().out
    boards = tmp_path / "boards"
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(boards)]) == 0
    (page,) = boards.glob("*/*/README.md")
    assert page.parent.name == "full-shot-labelled-2"
    assert "labelled anomalies" in page.read_text()
    assert "2 labelled defects of each type may be learned from" in page.read_text()
    assert "## Types of defects: " in page.read_text()
    assert "Named classes: " in (page.parent / "index.html").read_text()
    assert call(["board", "check", str(boards)]) == 0


def test_an_edited_regime_is_found(run, tmp_path, capsys):
    run(*LABELS, "--threshold", "none")
    (folder,) = find_runs(tmp_path / "runs")
    record = json.loads((folder / "record.json").read_text())
    record["regime"]["anomalies"] = False
    (folder / "record.json").write_text(json.dumps(record))
    assert call(["board", "build", str(tmp_path / "runs"), "--out", str(tmp_path / "boards")]) == 1
    assert "anomalies" in capsys.readouterr().err


def test_methods_without_labels_are_judged_on_the_same_images(run, records):
    assert run(*LABELS, "--threshold", "none")[0] == 0
    assert run(*LABELS, "--threshold", "none", bank="image-vectors", scorer="image-knn")[0] == 0
    one, other = sorted(records(), key=lambda record: record.regime.anomalies)
    assert (one.regime.anomalies, other.regime.anomalies) == (False, True)
    assert one.task.samples_sha == other.task.samples_sha


def test_tip_adapter_runs_with_names_and_labels(run, records):
    code, _, err = run(*LABELS, bank="exemplars-prompts", scorer="tip-adapter")
    assert (code, "needs the object's name, which the protocol does not allow" in err) == (2, True)
    granted = (*LABELS, "--allow", "class-names", "--shots", "4", "--threshold", "none")
    assert run(*granted, bank="exemplars-prompts", scorer="tip-adapter")[0] == 0
    (record,) = records()
    assert (record.regime.anomalies, record.regime.class_names, record.task.train) == (True, True, 4)


def test_a_bank_that_learns_from_labels_has_to_be_allowed(run):
    code, _, err = run()
    assert code == 2
    assert "bank 'exemplars' learns from labelled images, which the protocol does not allow (--allow labelled" in err


@pytest.mark.parametrize("rules", [("--allow", "labelled"), ("--defect-shots", "2")])
def test_half_of_the_rules_is_refused(run, rules):
    code, _, err = run(*rules)
    assert (code, "--allow labelled and --defect-shots N go together" in err) == (2, True)


def test_too_few_defects_are_a_failure_with_a_reason(run, records):
    assert run("--allow", "labelled", "--defect-shots", "100")[0] == 1
    (record,) = records()
    assert "labelled exemplars and one to judge need 101; use fewer defect shots" in record.reason


def test_a_detector_is_refused_with_the_reason(run):
    code, _, err = run(*LABELS, "--threshold", "quantile", "--save")
    assert code == 0
    assert "makes no detector: bank 'exemplars' learns from labelled defects" in err
