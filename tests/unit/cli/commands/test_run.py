"""What `adbench run` does around its units."""

import json
import os
import signal
import subprocess
import sys

import pytest

from adbench.cli import call
from adbench.engine.process.scratch import OWNER

TOY = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures", "--threshold", "none")


@pytest.fixture
def run(parts, tmp_path, capsys):
    def run(*words):
        code = call(["run", *TOY, "--data", str(parts), "--category", "bolt", "--out", str(tmp_path / "runs"), *words])
        return code, capsys.readouterr()

    return run


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def dead(folder):
    """A folder whose owner is no longer there."""
    folder.mkdir(parents=True)
    (folder / OWNER).write_text("")
    (folder / "file").write_bytes(bytes(3_000_000))


def test_what_killed_runs_left_is_swept_and_said(run, tmp_path, cache, scratch):
    dead(scratch / "adbench-dead")
    for name in (".draft-dead", ".old-dead", ".probe-dead", ".posts-dead"):
        dead(tmp_path / "runs" / name)
    (tmp_path / "runs" / ".claims").mkdir()
    (tmp_path / "runs" / ".claims" / "dead.lock").write_text("")
    (cache / "features" / "shelf").mkdir(parents=True)
    (cache / "features" / "shelf" / ".draft-dead").write_bytes(bytes(1000))
    (tmp_path / "runs" / ".mine").mkdir()
    code, printed = run()
    assert code == 0
    assert "removed 7 leftovers of killed runs (15.0 MB)" in printed.err
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name[0] == "."] == [".mine"]
    assert list(scratch.iterdir()) == []
    assert list((cache / "features").glob("*/.draft-*")) == []
    assert "leftovers" not in run()[1].err


def test_cache_info_counts_what_killed_writers_left(run, cache, capsys):
    run()
    (shelf,) = [path for path in (cache / "features").iterdir() if path.is_dir()]
    (shelf / ".draft-dead").write_bytes(bytes(3 << 20))
    assert call(["cache", "info"]) == 0
    assert "left by killed writers, which the next run removes: 1 temporary file, 3 MB" in capsys.readouterr().out


def test_a_cache_that_cannot_hold_the_features_of_a_unit_is_told_once(run):
    message = run("--cache-size", "10kB", "--seed", "1", "--seed", "2")[1].err
    assert message.count("the features of 10 images take 1 MB, and the cache may hold 0 MB") == 1
    assert "--cache-size" not in run("--cache-size", "1MB", "--seed", "3")[1].err


PRINTING = '''
import os, sys, ctypes, subprocess
from adbench import hookimpl
from adbench.builtin.toy import ToyNearest

class Printing(ToyNearest):
    """Prints in every way there is."""
    name = "printing"
    def score(self, query, bank):
        print("GARBAGE from Python")
        sys.__stdout__.write("GARBAGE from the original\\n")
        os.write(1, b"GARBAGE from a system call\\n")
        ctypes.CDLL(None).puts(b"GARBAGE from C")
        ctypes.CDLL(None).fflush(None)
        subprocess.run(["echo", "GARBAGE from a child"])
        return super().score(query, bank)

@hookimpl
def register_components(register):
    register(Printing)

@hookimpl
def job_finished(record):
    print("GARBAGE from a hook")
'''


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "process:workers=1"])
def test_json_is_all_that_comes_to_standard_output(parts, tmp_path, executor):
    (tmp_path / "printing_for_test.py").write_text(PRINTING)
    info = tmp_path / "printing_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: printing-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[adbench]\nprinting = printing_for_test\n")
    command = [sys.executable, "-c", "from adbench.cli import main; main()", "run", *TOY[:2], "--scorer", "printing"]
    rest = [*TOY[4:], "--data", str(parts), "--out", str(tmp_path / "runs"), "--json", "--executor", executor]
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [*command, *rest], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=True
    )
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["ok", "ok"]
    for source in ("Python", "the original", "a system call", "C", "a child", "a hook"):
        assert f"GARBAGE from {source}" in done.stderr


@pytest.mark.slow
def test_a_reader_that_goes_away_is_one_sentence(parts, tmp_path):
    command = [sys.executable, "-c", "from adbench.cli import main; main()", "run", *TOY, "--data", str(parts)]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "runs"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        message = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert "cannot print a record: Broken pipe" in message
    assert "Traceback" not in message


def test_a_component_that_exits_outside_of_a_unit_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr("adbench.cli.scope.plan_from", lambda *_: sys.exit(0))
    assert call(["run", *TOY, "--data", "demo"]) == 1
    assert "a component ended the command, by SystemExit(0)" in capsys.readouterr().err


def test_help_says_what_inline_cannot_do(capsys):
    assert call(["run", "--help"]) == 0
    message = " ".join(capsys.readouterr().out.split())
    assert "loses its own unit with process, and the whole command with inline" in message
    assert "it always ends, seconds later at most" in message


def test_handlers_are_as_before(run):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_the_only_recipe_that_cannot_run_is_an_error_and_no_note_beside_it(run):
    code, printed = run("--bank", "toy-gaussian")
    assert code == 2
    assert "cannot run" not in printed.out
    assert printed.err.count("reads a VectorBank") == 1


def test_every_recipe_that_is_named_runs(parts, tmp_path, capsys):
    for name, scorer in {"one": "toy-nearest", "two": "{toy-nearest: {k: 2}}"}.items():
        text = f"recipe: {name}\nbackbone: toy-pixels\nbank: toy-vectors\nscorer: {scorer}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    recipes = [word for name in ("one", "two", "one") for word in ("--recipe", str(tmp_path / f"{name}.yaml"))]
    options = ["--data", str(parts), "--category", "bolt", "--device", "cpu", "--no-figures", "--threshold", "none"]
    assert call(["run", *recipes, *options, "--out", str(tmp_path / "runs"), "--json"]) == 0
    assert [json.loads(line)["recipe"]["name"] for line in capsys.readouterr().out.splitlines()] == ["one", "two"]
