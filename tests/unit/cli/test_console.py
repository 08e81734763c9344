import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console as RichConsole

from adbench import StorageError
from adbench.cli.console import Console
from adbench.engine.plan.recipe import Recipe
from adbench.engine.run.record_builder import UnitOutcome
from adbench.engine.store.record import RecipeInfo
from adbench.files import sha256_of
from adbench.reports import PassedOver, Survey


@pytest.fixture
def console(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    return Console()


@pytest.fixture
def make_outcome(make_record, tmp_path):
    return lambda *args, folder=tmp_path / "run", unsaved=None, fresh=True, notes=(), **options: UnitOutcome(
        make_record(*args, **options), folder, fresh, unsaved, notes
    )


def test_a_unit_is_told_as_it_begins_and_ends(console, make_outcome, capsys):
    console.begin("knn on [bottle], seed 0")
    console.end(make_outcome())
    printed = capsys.readouterr()
    assert printed.out == "", "standard output is for results"
    assert "knn on [bottle], seed 0" in printed.err, "brackets are no markup"
    assert "fit 2.0 s, test 10.0 ms an image, 800 MB" in printed.err


def test_a_failure_says_why_and_where_more_stands(console, make_outcome, capsys, tmp_path):
    (tmp_path / "traceback.txt").write_text("")
    console.end(make_outcome(status="failed", folder=tmp_path))
    said = capsys.readouterr().err
    assert "failed: scorer 'knn' broke its contract" in said
    assert "traceback.txt" in said


def test_what_could_not_be_saved_and_what_trackers_complain_of(console, make_outcome, capsys):
    console.end(make_outcome(unsaved=StorageError("disk full"), notes=("plugin 'x': down",)))
    said = capsys.readouterr().err
    assert "not saved: disk full" in said
    assert "plugin 'x': down" in said


def test_how_files_were_read_is_told_with_what_was_not(console, capsys):
    left = (PassedOver("bolt/\x1b[0m.gif", "is of the kind gif"), PassedOver("bolt/b.png", "lies deeper"))
    console.survey("parts/[bolt]", Survey("test: good 3 normal; cut 2 defective", left))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "parts/[bolt]: test: good 3 normal; cut 2 defective",
        r"parts/[bolt]: 2 files are passed over, such as bolt/\x1b[0m.gif, which is of the kind gif;"
        " 'adbench data verify' lists all",
    ]
    console.survey("parts/bolt", Survey("", left[:1]))
    assert "bolt: 1 file is passed over" in capsys.readouterr().err
    console.survey("parts/bolt", Survey())
    assert capsys.readouterr().err == ""


def test_a_unit_done_before_is_said_to_be(console, make_outcome, capsys):
    console.end(make_outcome(fresh=False))
    assert "done before: " in capsys.readouterr().err


def test_a_record_is_one_line_of_json(console, make_outcome, capsys):
    outcome = make_outcome()
    console.record(outcome)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == outcome.record.to_json()


def rows(text):
    return [re.split(r" {2,}", line) for line in text.splitlines()[2:]]


def test_the_table_has_a_row_for_each_category_and_seed_and_their_mean(console, make_outcome, capsys):
    values = {("b", 0): 0.5, ("a", 0): 1.0, ("b", 1): 0.6, ("a", 1): 0.9}
    console.summary([make_outcome(category=name, seed=seed, auroc=value) for (name, seed), value in values.items()])
    table = rows(capsys.readouterr().out)
    assert [row[0] for row in table] == ["a", "a (seed 1)", "b", "b (seed 1)", "mean", "± over seeds"]
    assert [row[1] for row in table] == ["100.0", "90.0", "50.0", "60.0", "75.0", "0.0"]


@pytest.mark.parametrize("missing", [{"status": "failed"}, {"auroc": None}], ids=["failed", "undefined"])
def test_no_mean_where_a_figure_is_missing(console, make_outcome, capsys, missing):
    console.summary([make_outcome(category="a"), make_outcome(category="b", **missing)])
    table = rows(capsys.readouterr().out)
    assert table[1][1] in {"failed", "n/a"}
    assert table[-1][1] == "1/2"


def test_random_weights_and_pictures_are_noted(console, make_outcome, capsys, tmp_path):
    (tmp_path / "sheet.png").write_bytes(b"")
    console.summary([make_outcome(folder=tmp_path, random_weights=True)])
    printed = capsys.readouterr().out
    assert "random weights" in printed
    assert "sheet.png" in printed.replace("\n", "")


def test_no_unit_no_table(console, capsys):
    console.summary([])
    assert capsys.readouterr().out == ""


def test_what_is_kept_when_it_stops_early(console, capsys, tmp_path):
    console.interrupted(2, 5, tmp_path)
    console.stopped(3, 5)
    said = capsys.readouterr().err
    assert "2 of 5 units finished" in said
    console.interrupted(1, 1, tmp_path)
    assert "1 of 1 unit finished" in capsys.readouterr().err
    assert "the same command continues" in said
    assert "3 of 5 units not run" in said


def test_bars_are_drawn_on_a_terminal_only(console, capsys):
    console.watch("learn", 1, 4)
    assert capsys.readouterr().err == ""
    terminal = io.StringIO()
    console.err = RichConsole(file=terminal, force_terminal=True, width=100)
    console.watch("learn", 4, 4)
    console.watch("score", 1, 2)
    console.close()
    drawn = terminal.getvalue()
    assert "learn" in drawn
    assert "score" in drawn
    assert "1/2" in drawn
    assert console._bars is None


def test_a_training_has_one_bar_with_its_last_loss(console):
    terminal = io.StringIO()
    console.err = RichConsole(file=terminal, force_terminal=True, width=120)
    for step in range(1, 5):
        console.watch(f"train, loss {step}", step, 4)
        assert len(console._bars.tasks) == 1
        assert console._bars.tasks[0].id == 0, "the bar goes on, with its times"
    assert console._bars.tasks[0].description == "train, loss 4"
    assert console._bars.tasks[0].fields["rate"].endswith("steps/s")
    console.watch("score", 1, 2)
    assert console._bars.tasks[0].id == 1
    console.close()


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_a_bar_stays_on_one_line(console, width):
    terminal = io.StringIO()
    console.err = RichConsole(file=terminal, force_terminal=True, width=width, color_system=None)
    console.watch("threshold", 19, 20)
    console.close()
    drawn = re.sub(r"\x1b\[[0-9?;]*[a-zA-Z]", "\r", terminal.getvalue())
    assert max(len(line.strip("\n")) for line in drawn.split("\r")) <= width


def test_a_strangers_words_steer_nothing(console, make_outcome, capsys, tmp_path):
    evil = "\x1b[2J\x1b]0;x\x07[red]:bug:\u202e\udc80\nerror: fake"
    outcome = make_outcome(*[evil.replace("\udc80", "")] * 2, dataset=evil.replace("\udc80", ""))
    record = outcome.record.model_copy(update={"status": "failed", "reason": evil})
    task = record.task.model_copy(update={"skipped": [evil]})
    odd = UnitOutcome(record.model_copy(update={"task": task}), tmp_path / evil.replace("/", ""), notes=(evil,))
    console.begin(evil)
    console.note(evil)
    console.end(odd)
    console.cannot([evil], [])
    console.summary([odd, outcome])
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert set(text) & set("\x1b\x07\u202e\udc80") == set()
        assert "\\x1b[2J" in text
        assert "[red]:bug:" in text, "neither markup nor a picture"
        assert not any(line.startswith("error: fake") for line in text.splitlines())


def test_checkpoints_of_one_file_name_are_two_rows_named_by_their_folders(console, make_outcome, capsys, tmp_path):
    pytest.importorskip("adbench_timm")
    recipes, outcomes = [], []
    for folder, auroc in (("expA", 0.5), ("expB", 0.9)):
        file = tmp_path / folder / "best.pth"
        file.parent.mkdir()
        file.write_text(folder)
        backbone = {"timm": {"model": "resnet18", "weights": str(file)}}
        recipes.append(Recipe.model_validate({"recipe": "m", "backbone": backbone, "scorer": "knn"}))
        spec = {"backbone": [{"options": {"weights": {"file": "best.pth", "sha256": sha256_of(file)}}}]}
        outcome = make_outcome("m", auroc=auroc)
        recipe = RecipeInfo(name="m", spec=spec, parts=[])
        outcomes.append(replace(outcome, record=outcome.record.model_copy(update={"recipe": recipe})))
    console.summary(outcomes, recipes)
    table = rows(capsys.readouterr().out)
    assert [row[:2] for row in table] == [["m (weights expB/best.pth)", "90.0"], ["m (weights expA/best.pth)", "50.0"]]
    (tmp_path / "expA" / "best.pth").unlink()
    console.summary(outcomes, recipes)
    names = [row[0] for row in rows(capsys.readouterr().out)]
    assert names == [f"m (weights best.pth {sha[:8]})" for sha in shas(outcomes)][::-1], "a file that has gone"
    console.summary(outcomes)
    assert [row[0] for row in rows(capsys.readouterr().out)] == names


def shas(outcomes):
    return [outcome.record.recipe.spec["backbone"][0]["options"]["weights"]["sha256"] for outcome in outcomes]


def test_a_count_that_runs_over_does_not_show(console):
    terminal = io.StringIO()
    console.err = RichConsole(file=terminal, force_terminal=True, width=100)
    for done in (5, 19, 20, 40):
        console.watch("learn", done, 19)
    assert console._bars.tasks[-1].completed == 19
    console.close()
