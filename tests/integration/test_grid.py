"""`adbench run --all`, `--suite` and `--shard` from the command line to the board, with the toy components."""

import json
import re
import subprocess
import sys

import pytest

from adbench.builtin.toy import ToyPixels
from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

pytestmark = pytest.mark.slow

GRID = ("--all", "--backbone", "toy-pixels", "--scorer", "toy-nearest", "--scorer", "toy-mahalanobis")
SUITE = """
suite: small
tasks: [{data: ../parts, seeds: [0, 1]}]
grid:
  backbone: [toy-pixels, {toy-pixels: {cell: 16}}]
  scorer: [toy-nearest]
  aggregate: [max, mean]
"""


@pytest.fixture
def looked(monkeypatch):
    """The images that the backbone was asked to look at, one entry for each time."""
    seen = []
    extract = ToyPixels.extract

    def watched(self, batch):
        seen.extend((self.config.cell, name) for name in batch.ids)
        return extract(self, batch)

    monkeypatch.setattr(ToyPixels, "extract", watched)
    return seen


@pytest.fixture
def adbench(tmp_path, capsys):
    def adbench(*arguments, out="runs"):
        places = ("--out", str(tmp_path / out)) if arguments[0] in ("run", "plan") else ()
        options = ("--device", "cpu", "--no-figures") if arguments[0] == "run" else ()
        code = call([*map(str, arguments), *places, *options])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return adbench


@pytest.fixture
def suite(tmp_path, parts):
    file = tmp_path / "suites" / "small.yaml"
    file.parent.mkdir()
    file.write_text(SUITE)
    return file


def records(folder):
    return [read_record(run) for run in find_runs(folder)]


def figures(folder):
    return sorted((record.id, json.dumps(record.to_json()["metrics"], sort_keys=True)) for record in records(folder))


def test_a_suite_looks_at_each_image_once_for_each_backbone(adbench, suite, looked, tmp_path):
    code, out, err = adbench("run", "--suite", suite)
    assert code == 0, err
    assert len(records(tmp_path / "runs")) == 2 * 2 * 2 * 2
    assert len(looked) == len(set(looked)) == 2 * 2 * (4 + 6)
    assert "toy-pixels-cell-16+toy-nearest+mean" in out.replace("\n", "")


def test_units_alone_give_what_they_give_in_a_grid(adbench, suite, tmp_path):
    adbench("run", "--suite", suite)
    one = ("run", "--backbone", "toy-pixels:cell=16", "--scorer", "toy-nearest", "--aggregate", "mean")
    assert adbench(*one, "--data", tmp_path / "parts", "--seed", 1, "--cache", "none", out="alone")[0] == 0
    alone = figures(tmp_path / "alone")
    assert len(alone) == 2
    assert set(alone) < set(figures(tmp_path / "runs"))


def test_the_same_method_in_other_words_is_not_run_again(adbench, parts, looked, tmp_path):
    method = ("run", "--backbone", "toy-pixels", "--data", parts, "--scorer")
    adbench(*method, "toy-nearest")
    del looked[:]
    code, _, err = adbench(*method, "toy-nearest:k=1")
    assert (code, looked, err.count("done before")) == (0, [], 2)
    assert len(records(tmp_path / "runs")) == 2


def test_a_finished_suite_looks_at_nothing(adbench, suite, looked, tmp_path):
    adbench("run", "--suite", suite)
    del looked[:]
    code, _, err = adbench("run", "--suite", suite)
    assert (code, looked, err.count("done before")) == (0, [], 16)


def test_shards_together_are_the_whole(adbench, suite, tmp_path):
    adbench("run", "--suite", suite)
    for number in (1, 2, 3):
        assert adbench("run", "--suite", suite, "--shard", f"{number}/3", out=f"shard{number}")[0] == 0
    parts = [figures(tmp_path / f"shard{number}") for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [5, 5, 6]
    assert sorted(figure for part in parts for figure in part) == figures(tmp_path / "runs")
    for boards, runs in (("whole", ["runs"]), ("merged", ["shard1", "shard2", "shard3"])):
        assert adbench("board", "build", *(tmp_path / run for run in runs), "--out", tmp_path / boards)[0] == 0
    tables = [
        re.sub(r"## Cost.*", "", next((tmp_path / boards).glob("parts/*/README.md")).read_text(), flags=re.DOTALL)
        for boards in ("whole", "merged")
    ]
    assert tables[0] == tables[1]


def test_doubled_records_that_differ_raise_the_alarm(adbench, suite, tmp_path):
    adbench("run", "--suite", suite, "--seed", 0)
    adbench("run", "--suite", suite, "--seed", 0, out="again")
    run = find_runs(tmp_path / "again")[0]
    data = json.loads((run / "record.json").read_text())
    data["metrics"]["pixel-auroc"]["value"] = 0.123
    (run / "record.json").write_text(json.dumps(data))
    code, _, err = adbench("board", "build", tmp_path / "runs", tmp_path / "again", "--out", tmp_path / "boards")
    assert code == 1
    assert "not reproducible" in err


def test_a_suites_tasks_can_be_changed_from_outside(adbench, suite, tmp_path):
    adbench("run", "--suite", suite, "--category", "nut", "--seed", 5, "--limit-test", 2)
    assert {(r.task.category, r.task.seed, r.task.test) for r in records(tmp_path / "runs")} == {("nut", 5, 4)}


def test_all_combines_what_fits_and_says_what_does_not(adbench, parts, tmp_path):
    code, _, err = adbench("run", *GRID, "--bank", "toy-vectors", "--bank", "toy-gaussian", "--data", parts)
    assert code == 0, err
    names = {record.recipe.name for record in records(tmp_path / "runs")}
    assert names == {"toy-pixels+toy-vectors+toy-nearest", "toy-pixels+toy-gaussian+toy-mahalanobis"}
    assert "scorer 'toy-nearest' reads a VectorBank; bank 'toy-gaussian' is a GaussianBank" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bank", "toy-vectors", "--bank", "toy-gaussian"), "add --all to run every combination"),
        (("--all", "--recipe", "patchcore"), "--all combines parts"),
        (("--shard", "4/3"), "from 1/3 to 3/3"),
        (("--shard", "0/3"), "from 1/3 to 3/3"),
        (("--shard", "1/0"), "write I/N"),
        (("--shard", "one"), "write I/N"),
        (("--cache-size", "much"), "500MB"),
        (("--executor", "proces"), "unknown executor 'proces'"),
        (("--address", "auto"), "option 'address' of executor 'inline'"),
        (("--suite", "none.yaml"), "leave out --backbone"),
    ],
)
def test_words_that_cannot_be_meant(adbench, parts, words, message):
    code, _, err = adbench("run", "--backbone", "toy-pixels", "--scorer", "toy-nearest", "--data", parts, *words)
    assert code == 2
    assert message in err


def test_a_suite_that_names_unknown_parts_lists_them_all_and_runs_nothing(adbench, suite, tmp_path):
    suite.write_text(
        SUITE.replace("scorer: [toy-nearest]", "scorer: [toy-neares, toy-farthest]").replace("mean]", "meen]")
    )
    code, _, err = adbench("run", "--suite", suite)
    assert code == 2
    for words in ("scorer 'toy-neares'", "scorer 'toy-farthest'", "aggregator 'meen'"):
        assert words in err
    assert not (tmp_path / "runs").exists()


def test_plan_shows_the_tree_what_is_done_and_how_long_the_rest_will_take(adbench, suite):
    code, out, _ = adbench("plan", "--suite", suite)
    assert code == 0
    assert "16 units in 4 branches: 0 done, 16 to run" in out
    assert "expected time: unknown, because no such unit has run here" in out
    adbench("run", "--suite", suite, "--seed", 0)
    code, out, _ = adbench("plan", "--suite", suite)
    assert "16 units in 4 branches: 8 done, 8 to run" in out
    assert re.search(r"expected time, from past records: \d+ s\n", out), "nothing is unknown any more"
    assert out.count("toy-nearest + mean, seed 0: done") == 4


def test_the_cache_can_be_looked_into_and_cleared(adbench, suite, cache, tmp_path):
    adbench("run", "--suite", suite)
    code, out, _ = adbench("cache", "info")
    assert code == 0
    assert "toy-pixels(cell=16)" in out
    assert " 20 " in out
    assert "masks: 0 MB" in out
    mask = cache / "masks" / "way" / "image.png"
    mask.parent.mkdir(parents=True)
    mask.write_bytes(b"of a masker")
    code, out, _ = adbench("cache", "clear")
    assert code == 0
    assert list(cache.glob("features/*/*")) == []
    assert not mask.exists()
    assert "empty" in adbench("cache", "info", "--cache", tmp_path / "none")[1]


def test_a_cache_that_cannot_be_written_is_reported_and_costs_no_result(adbench, suite, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = adbench("run", "--suite", suite, "--seed", 0, "--cache", tmp_path / "file")
    assert code == 0
    assert err.count("no features are kept") == 1
    assert len(records(tmp_path / "runs")) == 8


def test_no_cache_writes_none(adbench, suite, cache):
    assert adbench("run", "--suite", suite, "--cache", "none")[0] == 0
    assert not cache.exists()


def test_runs_may_lie_behind_an_address(adbench, suite, tmp_path):
    from adbench.engine.process.location import place

    address = "memory://runs-of-a-test"
    command = ("run", "--suite", str(suite), "--seed", "0", "--device", "cpu", "--no-figures", "--out", address)
    assert call(list(command)) == 0
    there = [read_record(run) for run in find_runs(place(address))]
    assert [record.status for record in there] == ["ok"] * 8
    started = {record.provenance.started for record in there}
    assert call(list(command)) == 0
    assert {read_record(run).provenance.started for run in find_runs(place(address))} == started
    assert adbench("board", "build", address, "--out", tmp_path / "boards")[0] == 0
    assert len(list(tmp_path.glob("boards/parts/*/records/*.jsonl.xz"))) == 4


@pytest.mark.slow
def test_workers_elsewhere_give_what_this_process_gives(adbench, suite, tmp_path):
    assert adbench("run", "--suite", suite)[0] == 0
    code, out, err = adbench("run", "--suite", suite, "--executor", "process:workers=2", out="elsewhere")
    assert code == 0, err
    assert figures(tmp_path / "elsewhere") == figures(tmp_path / "runs")
    assert "toy-pixels-cell-16+toy-nearest+mean" in out.replace("\n", "")
    again = adbench("run", "--suite", suite, "--executor", "process:workers=2", out="elsewhere")
    assert again[2].count("done before") == 16


@pytest.mark.slow
def test_two_commands_on_one_folder_share_the_work(suite, tmp_path, cache):
    words = ["run", "--suite", str(suite), "--out", str(tmp_path / "runs"), "--device", "cpu", "--no-figures"]
    command = [sys.executable, "-c", "from adbench.cli import main; main()", *words]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) for _ in range(2)]
    message = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], message
    assert len(records(tmp_path / "runs")) == 16
    assert {record.status for record in records(tmp_path / "runs")} == {"ok"}
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")] == []
