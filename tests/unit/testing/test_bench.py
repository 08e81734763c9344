"""The fixture `bench`, used as the tests of a plugin would use it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import Aggregator, Bank, Field, Metric, Scorer, Scores, VectorBank
from adbench.builtin import toy
from adbench.errors import PluginError
from adbench.registration.registry import installed
from adbench.testing.drawn import draw_parts


class Mine(Scorer):
    """Distance to the k-th nearest normal patch."""

    name = "mine"
    bank = VectorBank
    needs = frozenset({"patches"})

    class Config(Scorer.Config):
        """One option."""

        k: int = Field(1, ge=1, description="which neighbour counts")

    @classmethod
    def defaults(cls, config):
        return {"bank": "toy-vectors", "aggregate": "max"}

    def score(self, query, bank):
        distances, _ = bank.search(query.patches.flatten(0, 2), self.config.k)
        return Scores(patches=distances[:, -1].reshape(query.patches.shape[:3]))


class Crashing(Mine):
    """Divides by zero."""

    name = "crashing"

    def score(self, query, bank):
        return 1 / 0


@pytest.mark.slow
def test_a_scorer_of_the_tests_own_runs(bench):
    bench.register(Mine)
    done = bench.run("--scorer", "mine:k=2")
    assert done.code == 0, done.err
    assert [record.task.category for record in done.records] == ["dots", "lines"]
    for record in done.records:
        assert record.status == "ok"
        assert record.recipe.spec["scorer"] == [{"name": "mine", "version": 1, "options": {"k": 2}}]
        assert record.recipe.spec["bank"][0]["name"] == "toy-vectors"
        assert record.metrics["image-auroc"].value > 0.9
        assert record.metrics["pixel-auroc"].value > 0.9
    assert "dots" in done.out
    assert "threshold " in done.err


@pytest.mark.slow
def test_without_words_the_toys_run(bench):
    done = bench.run("--category", "dots")
    assert done.code == 0, done.err
    (record,) = done.records
    assert record.recipe.spec["backbone"][0]["name"] == "toy-pixels"


@pytest.mark.slow
def test_a_crash_is_a_record(bench):
    bench.register(Crashing)
    done = bench.run("--scorer=crashing", "--category", "dots")
    assert done.code == 1
    assert [record.status for record in done.records] == ["failed"]
    assert "scorer 'crashing' raised ZeroDivisionError" in done.err


def test_what_cannot_be_meant_has_no_record(bench):
    bench.register(Mine)
    done = bench.run("--scorer", "mine:k=0")
    assert (done.code, done.records) == (2, [])
    assert "option 'k' of scorer 'mine'" in done.err


@pytest.mark.slow
def test_each_run_has_a_folder_of_its_own(bench):
    first, second = bench.run("--category", "dots"), bench.run("--category", "dots")
    assert first.folder != second.folder
    assert "done before" not in second.err
    again = bench.run("--category", "dots", "--out", first.folder)
    assert again.folder == first.folder
    assert "done before" in again.err


@pytest.mark.slow
def test_any_command(bench):
    bench.register(Mine)
    done = bench.run("--scorer", "mine", "--category", "dots")
    assert "mine" in bench.adbench("list", "scorer").out
    assert bench.adbench("check", "this-test", "--metadata").code == 0
    assert bench.adbench("evaluate", done.folder, "--data", bench.data).code == 0
    assert bench.adbench("nonsense").code == 2


@pytest.mark.slow
def test_a_board_of_the_runs(bench):
    bench.register(Mine)
    done = bench.run("--scorer", "mine")
    built = bench.adbench("board", "build", done.folder)
    assert built.code == 0, built.err
    assert list((bench.folder / "leaderboards").rglob("README.md"))


@pytest.mark.slow
def test_the_world_is_as_before(bench, capsys):
    before = Path.cwd(), installed(), dict(os.environ)
    bench.register(Mine)
    bench.run("--scorer", "mine", "--category", "dots")
    assert (Path.cwd(), installed(), dict(os.environ)) == before
    assert capsys.readouterr() == ("", ""), "what a command writes is in its result"
    assert ("scorer", "mine") not in installed().components


class Formless(Scorer):
    """Has nothing."""

    name = "formless"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "reported"),
    [
        (Formless, r"it has no score\(query, bank\)"),
        (
            type("Thief", (Mine,), {"name": "toy-nearest", "__doc__": "Takes a name."}),
            "registered by both 'adbench-core'",
        ),
        (Aggregator, "no component with a name"),
        (Bank, "no component with a name"),
        (3, "no component"),
    ],
)
def test_what_cannot_be_registered_is_refused_at_once(bench, given, reported):
    with pytest.raises(PluginError, match=reported):
        bench.register(given)
    bench.register(Mine)
    assert bench.run("--scorer", "mine", "--category", "dots").code == 0, "it is forgotten"


@pytest.mark.slow
def test_a_recipe_file_of_the_tests_own(bench):
    file = bench.folder / "own.yaml"
    file.write_text("recipe: own\nbackbone: toy-pixels\nscorer: mine\n")
    bench.register(Mine)
    done = bench.run("--recipe", "own.yaml", "--category", "lines")
    assert done.code == 0, done.err
    assert [record.recipe.name for record in done.records] == ["own"]


@pytest.mark.slow
def test_a_component_that_is_installed_may_be_given_too(bench):
    bench.register(toy.ToyNearest)
    assert bench.run("--category", "dots").code == 0


def test_the_parts_are_the_same_every_time(tmp_path):
    first, second = draw_parts(tmp_path / "a"), draw_parts(tmp_path / "b")
    files = sorted(path.relative_to(first) for path in first.rglob("*.png"))
    assert len(files) == 2 * (20 + 4 + 4 + 4)
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()
    mask = np.asarray(Image.open(first / "dots" / "ground_truth" / "scratch" / "000_mask.png"))
    assert mask.sum() == 240 * 255


@pytest.mark.slow
def test_records_as_json_are_what_was_written(bench):
    done = bench.run("--category", "dots", "--json")
    assert done.code == 0, done.err
    (line,) = done.out.splitlines()
    assert json.loads(line) == done.records[0].to_json()


class Ruined(Metric):
    """Cannot be made."""

    name = "ruined"
    level = "image"

    def __init__(self, **options):
        raise RuntimeError("no")

    def measure(self, evidence):
        raise NotImplementedError


@pytest.mark.slow
def test_a_metric_that_cannot_be_made_costs_no_run(bench):
    bench.register(Ruined)
    done = bench.run("--category", "dots")
    assert done.code == 0, done.err
    assert (
        done.err.count("left out: plugin 'this-test': metric 'ruined' cannot be made: it raised RuntimeError: no") == 1
    )
    assert "ruined" not in done.records[0].metrics
    assert bench.adbench("evaluate", done.folder, "--data", bench.data).code == 0
