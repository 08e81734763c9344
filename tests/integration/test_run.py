"""`adbench run` from the command line to the record, with the toy components."""

import json

import pytest

from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

TOY = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu")


@pytest.fixture
def run(parts, tmp_path, capsys):
    def run(*arguments, data=parts, method=TOY):
        code = call(["run", *method, "--data", str(data), "--out", str(tmp_path / "runs"), *arguments])
        return code, capsys.readouterr()

    return run


@pytest.fixture
def records(tmp_path):
    return lambda: [read_record(folder) for folder in find_runs(tmp_path / "runs")]


@pytest.mark.slow
def test_a_defect_is_found_and_everything_is_written(run, records, tmp_path):
    code, printed = run()
    assert code == 0
    assert "bolt" in printed.out
    assert "mean" in printed.out
    assert [record.task.category for record in records()] == ["bolt", "nut"]
    for record in records():
        assert record.status == "ok"
        assert record.metrics["image-auroc"].value == 1.0
        assert record.metrics["pixel-auroc"].value > 0.9
        assert len(record.metrics) == 8
        assert record.cost.fit_s > 0
        assert record.cost.bank_mb > 0
        assert {part.dist for part in record.recipe.parts} == {"adbench-core"}
    for folder in find_runs(tmp_path / "runs"):
        names = {path.name for path in folder.iterdir()}
        assert {"record.json", "predictions.safetensors", "sheet.png", "histogram.png", "curves.png"} <= names


def test_a_threshold_for_deployment_is_reported(run):
    code, printed = run("--category", "bolt", "--no-figures", "--threshold", "sigma:k=2")
    assert code == 0
    assert "normal images: F1 " in printed.err
    code, printed = run("--category", "bolt", "--no-figures", "--threshold", "none", "--redo")
    assert code == 0
    assert "normal images: F1" not in printed.err
    code, printed = run("--threshold", "f1")
    assert (code, "no such rule" in printed.err) == (2, True)


def test_what_is_done_is_not_done_again(run, records):
    run("--no-figures")
    before = [record.provenance.started for record in records()]
    code, printed = run("--no-figures")
    assert code == 0
    assert printed.err.count("done before") == 2
    assert [record.provenance.started for record in records()] == before


def test_redo_gives_the_same_figures(run, records):
    run("--no-figures")
    before = records()
    run("--no-figures", "--redo")
    assert [record.metrics for record in records()] == [record.metrics for record in before]
    assert [record.predictions for record in records()] == [record.predictions for record in before]


def test_json_prints_the_records_and_nothing_else(run, records):
    code, printed = run("--json", "--no-figures")
    assert code == 0
    assert [json.loads(line) for line in printed.out.splitlines()] == [record.to_json() for record in records()]


def test_shots_and_limits_are_part_of_the_identity(run, records):
    for options in ((), ("--limit-test", "2"), ("--limit-train", "2"), ("--shots", "2"), ("--evaluation", "32")):
        run("--no-figures", "--category", "bolt", *options)
    run("--no-figures", "--category", "bolt", "--shots", "2", "--seed", "1")
    assert len({record.id for record in records()}) == 6
    assert {record.task.train for record in records()} == {2, 4}


def test_parts_of_the_machine_are_not_part_of_the_identity(run, records):
    run("--no-figures", "--category", "bolt")
    before = records()
    run("--no-figures", "--category", "bolt", "--redo", "--batch-size", "1", "--workers", "1")
    (after,) = records()
    assert after.id == before[0].id
    assert after.metrics == before[0].metrics


def test_evaluate_repeats_the_metrics_without_a_backbone(run, tmp_path, parts, capsys):
    run("--no-figures", "--category", "bolt")
    (folder,) = find_runs(tmp_path / "runs")
    whole = (folder / "record.json").read_text()
    broken = json.loads(whole)
    broken["metrics"]["image-auroc"]["value"] = 0.123
    (folder / "record.json").write_text(json.dumps(broken))
    assert call(["evaluate", str(tmp_path / "runs"), "--data", str(parts)]) == 0
    assert "changed: image-auroc" in capsys.readouterr().out
    assert (folder / "record.json").read_text() == whole


def test_evaluate_refuses_other_data(run, tmp_path, parts, capsys):
    run("--no-figures", "--category", "bolt")
    file = parts / "bolt" / "test" / "good" / "000.png"
    file.write_bytes((parts / "bolt" / "test" / "good" / "001.png").read_bytes())
    assert call(["evaluate", str(tmp_path / "runs"), "--data", str(parts)]) == 1
    assert "not those of the run" in capsys.readouterr().err


def test_plan_shows_parts_and_what_is_done(run, parts, tmp_path, capsys):
    run("--no-figures", "--category", "bolt")
    arguments = ["plan", *TOY[:4], "--data", str(parts), "--out", str(tmp_path / "runs")]
    assert call(arguments) == 0
    printed = capsys.readouterr().out
    assert "resize(size=[128, 128]) + toy-pixels on parts/bolt" in printed
    assert "toy-nearest + max, seed 0: done" in printed
    assert "toy-nearest + max, seed 0: to run" in printed
    assert "2 units in 2 branches: 1 done, 1 to run" in printed
    assert call([*arguments, "--bank", "toy-gaussian"]) == 1
    assert "scorer 'toy-nearest' reads a VectorBank" in capsys.readouterr().err


def test_plan_takes_the_words_of_run(run, parts, tmp_path, capsys):
    run("--no-figures", "--category", "bolt")
    of_run = ["--no-figures", "--threshold", "none", "--executor", "process:workers=2", "--device", "cpu"]
    arguments = ["plan", *TOY[:4], "--data", str(parts), "--category", "bolt", "--out", str(tmp_path / "runs"), *of_run]
    assert call(arguments) == 0
    assert "1 done, 0 to run" in capsys.readouterr().out
    assert call([*arguments, "--redo"]) == 0
    assert "0 done, 1 to run" in capsys.readouterr().out
    assert call(["plan", "--help"]) == 0
    assert "--executor" not in capsys.readouterr().out, "what changes no plan is not shown"


def test_one_category_is_a_dataset_too(run, parts, records):
    assert run("--no-figures", data=parts / "bolt")[0] == 0
    assert [record.task.category for record in records()] == ["bolt"]


def test_a_transductive_bank_runs_where_it_is_allowed(run, records):
    assert run("--no-figures", "--category", "bolt", "--bank", "toy-test-vectors")[0] == 2
    assert run("--no-figures", "--category", "bolt", "--bank", "toy-test-vectors", "--allow", "test")[0] == 0
    (record,) = records()
    assert record.regime.test_set
    assert record.regime.train_images == 0
    assert record.metrics["image-auroc"].value > 0.5


@pytest.mark.slow
def test_how_folders_were_read_is_reported_once_and_what_was_not_is_counted(run, records, parts):
    (parts / "bolt" / "test" / "good").rename(parts / "bolt" / "test" / "OK")
    (parts / "bolt" / "test" / "spot" / "more").mkdir()
    (parts / "bolt" / "test" / "spot" / "000.png").rename(parts / "bolt" / "test" / "spot" / "more" / "000.png")
    (parts / "bolt" / "ground_truth" / "spot" / "000_mask.png").unlink()
    (parts / "spare").mkdir()
    (parts / "nut" / "test" / "good" / "000.png").rename(parts / "spare" / "000.png")
    code, printed = run("--seed", "0", "--seed", "1", "--shots", "1")
    assert code == 0
    assert printed.err.count("parts/bolt: train: good 4 normal; test: OK 3 normal; spot 2 defective") == 1
    assert "parts/bolt: 1 file is passed over, such as bolt/test/spot/more/000.png, which lies in" in printed.err
    assert "parts: 1 file is passed over, such as spare, which holds images" in printed.err
    counts = {(record.task.category, record.facts["files_passed_over"]) for record in records()}
    assert counts == {("bolt", 1.0), ("nut", 0.0)}
    assert {record.metrics["image-auroc"].value for record in records()} == {1.0}


def test_json_leaves_what_is_reported_files_to_the_other_stream(run, parts):
    (parts / "bolt" / "overview.png").write_bytes(b"")
    _, printed = run("--category", "bolt", "--json")
    assert len(printed.out.splitlines()) == 1
    assert "overview.png" in printed.err


def test_a_dataset_that_cannot_say_counts_nothing(run, records):
    run(data="demo", method=(*TOY, "--limit-train", "2", "--limit-test", "1", "--category", "brick", "--no-figures"))
    assert [record.facts for record in records()] == [{}]
