"""`adbench sweep`: some test images choose, others report; an oracle's rows stand apart on a board."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adbench.boards.board import Board
from adbench.boards.tables.table import standings_tables
from adbench.boards.tables.tidy import tidy
from adbench.builtin.demo import Demo
from adbench.cli import call
from adbench.engine.evaluate.holdout import held_out
from adbench.engine.evaluate.reproduce import evaluator_of, protocol_of, task_of
from adbench.engine.store.predictions import read_predictions, write_predictions
from adbench.engine.store.record import find_runs, read_record, write_record

METHOD = ("--backbone", "toy-pixels", "--scorer", "toy-nearest")
USUAL = {"aggregate": {"max": {}}, "map": {"upsample": "bilinear", "sigma": 4.0, "at": "input", "border": "symmetric"}}


DEMO = ("--data", "demo", "--limit-train", "4", "--limit-test", "3", "--category", "brick", "--category", "grass")


def run(out, *words):
    assert call(["run", *words, "--out", str(out), "--device", "cpu", "--no-figures", "--cache", "none"]) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three good tiles and three of each of five defects, of two categories."""
    folder = tmp_path_factory.mktemp("made") / "runs"
    run(folder, *METHOD, *DEMO)
    return folder


@pytest.fixture
def runs(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture
def sweep(runs, capsys):
    def message(*words, ends=0):
        capsys.readouterr()
        assert call(["sweep", str(runs), *words]) == ends
        calls = capsys.readouterr()
        return calls.err if ends else calls.out

    return message


@pytest.mark.slow
def test_one_part_chooses_and_the_other_reports(sweep, runs):
    message = json.loads(sweep("--aggregate", "max,mean", "--aggregate", "quantile:q=0.9", "--sigma", "0,4", "--json"))
    assert (message["choosing"], message["reporting"], message["oracle"]) == (16, 20, False)
    assert message["own"] == USUAL
    by_slot = {contest["slot"]: contest for contest in message["contests"]}
    assert {slot: contest["by"] for slot, contest in by_slot.items()} == {
        "aggregate": "image-auroc",
        "map": "pixel-aupro-30",
    }
    assert {next(iter(one["aggregate"])) for one in by_slot["aggregate"]["tried"]} == {"max", "mean", "quantile"}
    for contest in by_slot.values():
        values = [one["value"] for one in contest["tried"]]
        assert values == sorted(values, reverse=True)
    assert message["chosen"]["map"] == by_slot["map"]["tried"][0]["map"]
    expected = by_hand(runs)
    assert message["figures"]["image-auroc"]["own"] == pytest.approx(expected)


def by_hand(runs):
    """The recipe's own image AUROC on the images that report, mean over the categories, by counting pairs."""
    figures = []
    for folder in find_runs(runs):
        record, dataset = read_record(folder), Demo()
        task = task_of(record, dataset, protocol_of(record))
        scores = evaluator_of(folder, record, dataset).predictions.scores
        places = held_out("x", task.test, task.digests, 0.5).reporting
        bad, good = ([scores[i] for i in places if task.test[i].anomalous is it] for it in (True, False))
        wins = [(one > other) + (one == other) / 2 for one in bad for other in good]
        figures.append(sum(wins) / len(wins))
    return sum(figures) / len(figures)


@pytest.mark.slow
def test_nothing_is_written(sweep, runs):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    for words in ((), ("--oracle",)):
        sweep("--aggregate", "mean", "--morphology", "none,open:3", *words)
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_an_oracle_gives_the_figures_of_a_run_and_its_rows_stand_apart(sweep, runs, tmp_path):
    message = json.loads(sweep("--aggregate", "mean", "--sigma", "1", "--morphology", "close:3", "--oracle", "--json"))
    assert (message["choosing"], message["reporting"], message["oracle"]) == (36, 36, True)
    chosen = [one for one in message["contests"][1]["tried"] if one["map"].get("morphology")]
    assert chosen[0]["map"] == {**USUAL["map"], "sigma": 1.0, "morphology": "close:3"}
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("\n".join(["recipe: mine", "backbone: toy-pixels", "scorer: toy-nearest", *message["lines"]]))
    run(tmp_path / "tuned", "--recipe", str(recipe), *DEMO)
    honest, tuned = ([read_record(folder) for folder in find_runs(out)] for out in (runs, tmp_path / "tuned"))
    for name, figures in message["figures"].items():
        for records, figure in ((honest, figures["own"]), (tuned, figures["chosen"])):
            assert figure == pytest.approx(sum(record.metrics[name].value for record in records) / 2, abs=1e-9)
    assert all(record.regime.tuned_on_test for record in tuned)
    rules = {"train": "all", "seeds": [0], "limit_train": 4, "limit_test": 3}
    board = {"title": "Demo", "dataset": "demo", "protocol": rules}
    tables = standings_tables(tidy(Board.model_validate({**board, "metrics": ["image-auroc"]}), [*honest, *tuned]))
    assert [table.title for table in tables] == [
        "Standings: normal training images",
        "Standings: normal training images, tuned on the test labels",
    ]
    assert [len(table.rows) for table in tables] == [1, 1]


def test_plain_lines_say_who_chose(sweep):
    message = sweep("--sigma", "0,8")
    assert "16 test images choose" in message
    assert "the other 20 report" in message
    assert "(the recipe's own)" in message
    assert "image-auroc" not in message, "image scores do not depend on the map"
    assert "ORACLE: all 36 test images choose and report" in sweep("--sigma", "0,8", "--oracle")


def test_the_lines_are_marked(sweep):
    (line,) = sweep("--aggregate", "mean", "--sigma", "9", "--json").splitlines()
    assert json.loads(line)["lines"][-1] == 'tuned_on: ["demo"]'


def test_the_recipes_own_setting_wins_among_equals(sweep):
    """A floor below all scores changes nothing."""
    message = json.loads(sweep("--floor", "-5,none", "--json"))
    assert [one["map"].get("floor") for one in message["contests"][0]["tried"]] == [None, -5.0]
    assert message["chosen"] == USUAL
    assert "prefer the recipe's own setting" in sweep("--floor", "-5")


@pytest.mark.slow
def test_methods_are_swept_one_by_one(sweep, runs):
    run(runs, *METHOD, *DEMO, "--aggregate", "mean")
    verdicts = [json.loads(line) for line in sweep("--aggregate", "max", "--json").splitlines()]
    assert {next(iter(verdict["own"]["aggregate"])) for verdict in verdicts} == {"max", "mean"}


@pytest.mark.slow
def test_a_method_that_cannot_be_swept_costs_no_other(runs, capsys):
    pytest.importorskip("adbench_memory")
    run(runs, "--backbone", "toy-pixels", "--bank", "full", "--scorer", "knn:reweight=3", *DEMO)
    capsys.readouterr()
    assert call(["sweep", str(runs), "--aggregate", "mean", "--json"]) == 1
    calls = capsys.readouterr()
    assert "would ignore" in calls.err
    assert json.loads(calls.out)["recipe"] == "toy-pixels+toy-nearest"


def test_where_a_folder_lies_is_known_from_the_run(parts, tmp_path, capsys):
    run(tmp_path / "runs", *METHOD, "--data", str(parts), "--category", "bolt")
    words = ["sweep", str(tmp_path / "runs"), "--sigma", "1,4", "--json"]
    capsys.readouterr()
    assert call(words) == 0
    assert json.loads(capsys.readouterr().out)["lines"][-1] == 'tuned_on: ["parts"]'
    parts.rename(tmp_path / "moved")
    assert call(words) == 1
    assert (
        f"its images were in {parts}, but are not there any more; give its place with --data" in capsys.readouterr().err
    )
    assert call([*words, "--data", str(tmp_path / "moved")]) == 0
    (tmp_path / "moved").rename(parts)
    for file in (tmp_path / "runs").glob("*/origin.json"):
        file.unlink()
    assert call(words) == 1
    assert "its dataset is the folder 'parts'; give its place with --data PATH" in capsys.readouterr().err
    assert call([*words, "--data", str(parts)]) == 0


def test_what_holds_for_every_method_is_reported_once(parts, tmp_path, capsys):
    run(tmp_path / "runs", *METHOD, "--data", str(parts), "--category", "bolt")
    run(tmp_path / "runs", *METHOD, "--aggregate", "mean", "--data", str(parts), "--category", "bolt")
    parts.rename(tmp_path / "moved")
    capsys.readouterr()
    assert call(["sweep", str(tmp_path / "runs"), "--sigma", "1,4"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: 2 methods (toy-pixels+toy-nearest")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to try"),
        (("--aggregate", "maxx"), "did you mean 'max'"),
        (("--aggregate", "quantile:w=3"), "unknown option 'w'"),
        (("--aggregate", "max,,mean"), "an item is empty"),
        (("--sigma", ""), "an item is empty"),
        (("--sigma", "wide"), "--sigma wide: "),
        (("--upsample", "bilinaer"), "did you mean 'bilinear'"),
        (("--morphology", "open:4"), "odd side of a square"),
        (("--sigma", "1", "--by", "pixel-auroq"), "did you mean 'pixel-auroc'"),
        (("--sigma", "1", "--by", "image-auroc"), "ranks aggregators; add --aggregate"),
        (("--aggregate", "mean", "--by", "pixel-ap"), "ranks maps; add an option"),
        (("--aggregate", "mean", "--by", "image-ap", "--by", "image-auroc"), "are both image metrics; give one"),
        (("--aggregate", "scorer"), "gives only patches here"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(sweep, words, message):
    calls = sweep(*words, ends=2)
    assert message in calls
    assert calls.count("\n") == 1


def test_too_few_images_name_the_category(sweep):
    assert "category 'brick' has 15 defective and 3 good test images" in sweep("--sigma", "1", "--share", "0.1", ends=1)


def test_runs_without_scores_are_named(sweep, runs, tmp_path):
    folder = find_runs(runs)[0]
    (folder / "predictions.safetensors").unlink()
    assert f"{folder.name}: " in sweep("--sigma", "1", ends=1)
    shutil.rmtree(runs)
    runs.mkdir()
    assert "give a folder that 'adbench run' wrote" in sweep("--sigma", "1", ends=1)


@pytest.mark.slow
def test_an_image_score_that_was_kept_may_be_weighed_and_one_that_was_not_is_named(tmp_path, capsys):
    pytest.importorskip("adbench_memory")
    scorer = ("--backbone", "toy-pixels", "--bank", "full", "--scorer", "knn:reweight=3", *DEMO)
    words = ["--aggregate", "local-global:weight=0.3", "--oracle", "--json"]
    run(tmp_path / "kept", *scorer, "--aggregate", "scorer")
    run(tmp_path / "weighed", *scorer, *words[:2])
    capsys.readouterr()
    assert call(["sweep", str(tmp_path / "weighed"), "--aggregate", "scorer"]) == 2
    assert "run the recipe with --aggregate scorer first" in capsys.readouterr().err
    assert call(["sweep", str(tmp_path / "kept"), *words]) == 0
    message = json.loads(capsys.readouterr().out)
    (value,) = [one["value"] for one in message["contests"][0]["tried"] if "local-global" in one["aggregate"]]
    figures = [read_record(folder).metrics["image-auroc"].value for folder in find_runs(tmp_path / "weighed")]
    assert value == pytest.approx(sum(figures) / 2)


def masked(out, *words):
    run(out, *METHOD, "--masker", "toy-border:test=drop", "--data", "demo", "--category", "brick", *words)
    return out


SMALL = ("--limit-train", "3", "--limit-test", "2")


@pytest.fixture(scope="module")
def dropped(tmp_path_factory):
    """A masker that lets only the object's patches count for the image score."""
    return masked(tmp_path_factory.mktemp("dropped") / "runs", *SMALL)


@pytest.mark.slow
def test_a_sweep_judges_the_method_that_runs_where_a_masker_drops_patches(dropped, tmp_path, capsys):
    capsys.readouterr()
    assert (
        call(
            [
                "sweep",
                str(dropped),
                "--aggregate",
                "mean,top-fraction:fraction=0.2,quantile:q=0.9",
                "--oracle",
                "--json",
            ]
        )
        == 0
    )
    (contest,) = json.loads(capsys.readouterr().out)["contests"]
    found = {json.dumps(one["aggregate"]): one["value"] for one in contest["tried"]}
    assert len(found) == 4
    for words in (("mean",), ("top-fraction:fraction=0.2",), ("quantile:q=0.9",)):
        out = masked(tmp_path / words[0].partition(":")[0], *SMALL, "--aggregate", *words)
        (folder,) = find_runs(out)
        record = read_record(folder)
        (part,) = record.recipe.spec["aggregate"]
        reported = json.dumps({part["name"]: part["options"]})
        assert found[reported] == record.metrics["image-auroc"].value


def test_a_run_without_the_foreground_is_not_swept_over_as_another_method(dropped, tmp_path, capsys):
    shutil.copytree(dropped, tmp_path / "runs")
    (folder,) = find_runs(tmp_path / "runs")
    record = read_record(folder)
    kept = read_predictions(folder, record.predictions)
    assert kept.foreground is not None
    old = write_predictions(folder, replace(kept, patches=list(kept.patches), foreground=None))
    write_record(folder, record.model_copy(update={"predictions": old}))
    capsys.readouterr()
    assert call(["sweep", str(tmp_path / "runs"), "--aggregate", "mean", "--oracle"]) == 1
    calls = capsys.readouterr().err
    assert "without the foreground" in calls
    assert "--redo" in calls
    assert call(["sweep", str(tmp_path / "runs"), "--sigma", "2", "--oracle"]) == 0
