"""`adbench board submit` and `verify` on runs of the toy components."""

from __future__ import annotations

import csv
import json

import pytest

from adbench.boards.records.line_files import read_line_file
from adbench.cli import call
from adbench.engine.evaluate import bootstrap
from adbench.engine.store.record import RECORD_FILE, find_runs

pytestmark = pytest.mark.slow

BOARD = """
title: Parts
dataset: parts
protocol: {train: all, seeds: [0, 1]}
categories: [bolt, nut]
metrics: [image-auroc]
"""


@pytest.fixture
def at(parts, tmp_path, monkeypatch):
    """The current folder, with runs of two categories and seeds and a board for them."""
    monkeypatch.chdir(tmp_path)
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu")
    call(["run", *method, "--data", "parts", "--seed", "0", "--seed", "1", "--no-figures"])
    board = tmp_path / "leaderboards/parts/full-shot/board.yaml"
    board.parent.mkdir(parents=True)
    board.write_text(BOARD, encoding="utf-8")
    return tmp_path


@pytest.fixture
def message(at, capsys):
    capsys.readouterr()

    def message(*arguments):
        code = call(["board", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return message


def edit(folder, change):
    data = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    change(data)
    (folder / RECORD_FILE).write_text(json.dumps(data), encoding="utf-8")


def records(at):
    return list((at / "leaderboards/parts/full-shot/records").glob("*.jsonl.xz"))


def test_a_whole_row_is_handed_in(message, at):
    code, out, _ = message("submit", "runs", "--data", "parts")
    assert code == 0
    assert "4 records of" in out
    assert "pull request" in out
    (file,) = records(at)
    assert len(read_line_file(file, "records").splitlines()) == 4
    assert message("check")[0] == 0


def test_seeds_of_a_method_that_draws_nothing_are_drawn_again_once(message, at, monkeypatch):
    parts = ("--backbone", "toy-pixels", "--bank", "full", "--scorer", "knn", "--data", "parts", "--device", "cpu")
    call(["run", *parts, "--seed", "0", "--seed", "1", "--no-figures", "--threshold", "none", "--out", "fixed"])
    call(["evaluate", "fixed", "--data", "parts", "--intervals", "--draws", "1000"])
    drawn, draw = [], bootstrap._drawn
    monkeypatch.setattr(bootstrap, "_drawn", lambda *given, **named: drawn.append(1) or draw(*given, **named))
    assert message("submit", "fixed", "--data", "parts")[0] == 0
    assert len(drawn) == 2  # one for each category; both seeds have the same scores


def standings(at):
    with (at / "leaderboards/parts/full-shot/table.csv").open(encoding="utf-8", newline="") as file:
        return {row["method"]: (row["rank"], row["image-auroc"]) for row in csv.DictReader(file)}


def test_the_data_is_where_the_runs_found_it(message, at):
    code, out, _ = message("submit", "runs")
    assert code == 0
    assert "4 of them checked against raw scores" in out
    code, out, err = message("verify", find_runs(at / "runs")[0], "--device", "cpu")
    assert code == 0
    assert "verified" in out
    assert f"images: {at / 'parts'}" in err


def test_without_the_data_a_row_is_unverified(message, at):
    for file in (at / "runs").glob("*/origin.json"):
        file.unlink()
    code, out, err = message("submit", "runs")
    assert code == 0
    assert "0 of them checked against raw scores" in out
    assert err.count("unverified, and listed apart: its metrics could not be computed again") == 4
    ((label, (rank, _)),) = standings(at).items()
    assert (label.endswith(", unverified"), rank) == (True, "—")
    assert message("submit", "runs", "--data", "parts")[0] == 0
    ((label, (rank, _)),) = standings(at).items()
    assert ("unverified" in label, rank) == (False, "1")


def invented(folder):
    def change(data):
        data["predictions"] = None
        data["metrics"]["image-auroc"]["value"] = 1.0

    edit(folder, change)


def gone(folder):
    (folder / "predictions.safetensors").unlink()


@pytest.mark.parametrize("change", [invented, gone])
def test_figures_without_raw_scores_have_no_rank(message, at, change):
    for folder in find_runs(at / "runs"):
        change(folder)
    code, _, err = message("submit", "runs", "--data", "parts")
    assert code == 0
    assert err.count("unverified, and listed apart") == 4
    assert [rank for rank, _ in standings(at).values()] == ["—"]
    assert message("check")[0] == 0


def details(change):
    def edited(folder):
        file = folder / "details.json"
        data = json.loads(file.read_text(encoding="utf-8"))
        change(data)
        file.write_text(json.dumps(data), encoding="utf-8")

    return edited


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (details(lambda data: data["images"][0].update(score=9.0)), "has images that do not follow"),
        (details(lambda data: data["images"].reverse()), "has images that do not follow"),
        (details(lambda data: data["curves"].update(roc=[[0.0, 1.0], [1.0, 1.0]])), "has curves that do not follow"),
        (details(lambda data: data.update(id="0" * 64)), "is of another run"),
        (lambda folder: edit(folder, lambda data: data["task"].update(test=5)), "its test is 5, but 6 with this data"),
        (
            lambda folder: edit(folder, lambda data: data["metrics"]["image-ap"].update(interval=[0.1, 0.2])),
            "the interval of image-ap is (0.1, 0.2)",
        ),
        (lambda folder: edit(folder, lambda data: data["metrics"]["image-ap"].update(version=9)), "by its version 9"),
        (
            lambda folder: edit(folder, lambda data: data["regime"].update(train_images=0)),
            "but its components give 4",
        ),
    ],
)
def test_all_that_follows_from_the_raw_scores_is_checked(message, at, change, fault):
    change(find_runs(at / "runs")[0])
    code, _, err = message("submit", "runs", "--data", "parts")
    assert code == 1
    assert fault in err
    assert records(at) == []


def test_verify_compares_what_is_derived_too(message, at):
    folder = find_runs(at / "runs")[0]
    edit(folder, lambda data: data["task"].update(test=5, skipped=["bolt/test/good/9"]))
    edit(folder, lambda data: data["recipe"].update(parts=data["recipe"]["parts"][1:]))
    edit(folder, lambda data: data.update(drew=not data["drew"], facts={"recall": 0.5}))
    code, out, _ = message("verify", folder, "--data", "parts", "--device", "cpu")
    assert code == 1
    named = [line.split(":")[0].strip() for line in out.splitlines() if line.endswith("DIFFERS")]
    assert named == ["task.test", "task.skipped", "recipe.parts", "drew", "facts.recall"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda data: data["metrics"]["pixel-ap"].update(value=0.999), "pixel-ap is 0.999, but "),
        (lambda data: data["recipe"]["spec"]["scorer"][0].update(version=7), "id does not follow"),
        (lambda data: data["predictions"].update(sha256="0" * 64), "not the file that the record was made with"),
        (lambda data: data["predictions"].update(file="../../secret"), "predictions.file"),
        (lambda data: data["regime"].update(random_weights=True), "weights are random"),
        (lambda data: data["task"].update(dataset="elsewhere"), "no board below"),
    ],
)
def test_what_was_edited_is_not_handed_in(message, at, change, fault):
    folder = find_runs(at / "runs")[0]
    edit(folder, change)
    code, _, err = message("submit", "runs", "--data", "parts")
    assert code == 1
    assert fault in err
    assert folder.name in err
    assert records(at) == []


def test_a_part_of_a_row_is_not_handed_in(message, at):
    code, _, err = message("submit", *find_runs(at / "runs")[:3], "--data", "parts")
    assert code == 1
    assert "1 of 4 units are missing: nut seed 1" in err
    assert records(at) == []


def test_other_data_are_found_out(message, at):
    next((at / "parts/bolt/test/good").iterdir()).unlink()
    code, _, err = message("submit", "runs", "--data", "parts")
    assert code == 1
    assert err.count("not those of the run") == 2


def test_a_record_is_verified(message, at):
    code, out, _ = message("verify", find_runs(at / "runs")[0], "--data", "parts", "--device", "cpu")
    assert code == 0
    assert "verified, tolerance 0.001" in out
    assert out.count("agrees") == 8


def test_a_verified_record_as_a_table_csv_and_json(message, at):
    folder = find_runs(at / "runs")[0]
    edit(folder, lambda data: data["task"].update(test=5))
    command = ("verify", folder, "--data", "parts", "--device", "cpu")
    code, out, err = message(*command, "--csv")
    assert code == 1
    rows = list(csv.DictReader(out.splitlines()))
    assert list(rows[0]) == ["record", "value", "recorded", "here", "difference", "result"]
    assert [row["value"] for row in rows if row["result"] == "DIFFERS"] == ["task.test"]
    assert len(rows) == 9
    assert "not reproduced, tolerance 0.001" in err
    code, out, _ = message(*command, "--json")
    (entry,) = json.loads(out)
    assert (code, entry["verified"], entry["verdict"]) == (1, False, "not reproduced, tolerance 0.001")
    assert [each["value"] for each in entry["values"]] == [row["value"] for row in rows]
    _, out, _ = message(*command, "--wide")
    assert out.splitlines()[1].split() == ["value", "recorded", "here", "difference", "result"]
    assert out.splitlines()[-1] == "not reproduced, tolerance 0.001"


def test_a_made_up_figure_is_found_out(message, at):
    folder = find_runs(at / "runs")[0]
    edit(folder, lambda data: data["metrics"]["pixel-ap"].update(value=0.5))
    code, out, _ = message("verify", folder / RECORD_FILE, "--data", "parts", "--device", "cpu")
    assert code == 1
    assert "not reproduced" in out
    assert [line.split()[0] for line in out.splitlines() if "DIFFERS" in line] == ["pixel-ap"]
    assert message("verify", folder, "--data", "parts", "--device", "cpu", "--tolerance", "1")[0] == 0


def test_one_of_many_records_is_verified(message, at):
    message("submit", "runs", "--data", "parts")
    (file,) = records(at)
    wanted = json.loads(read_line_file(file, "records").splitlines()[2])
    code, out, _ = message("verify", file, "--id", wanted["id"][:10], "--data", "parts", "--device", "cpu")
    assert code == 0
    assert out.count("verified") == 1
    assert f"on {wanted['task']['category']}, seed {wanted['task']['seed']}" in out
    assert message("verify", file, "--id", "nothing")[0] == 2


def test_the_help_says_what_the_commands_do(message):
    assert {"submit", "verify"} <= {line.split()[0] for line in message("--help")[1].splitlines() if line.strip()}
