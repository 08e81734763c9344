"""Commands that cannot be meant, come in the wrong order, or miss what they need: one sentence, never a traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

METHOD = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures", "--cache", "none")
BIG = "9" * 40
LONG = "x" * 5000
STEERING = set("\x1b\x07\r\x9b\u202e\u2028")


@pytest.fixture
def adbench(tmp_path, parts, monkeypatch, capsys):
    """Runs a command in a folder where ``parts`` is, and hands back its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("empty").mkdir()

    def adbench(*words):
        capsys.readouterr()
        code = call(list(words))
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert STEERING.isdisjoint(printed.out + printed.err)
        assert max(map(len, printed.err.splitlines()), default=0) < 3000
        return code, printed.out, printed.err

    return adbench


@pytest.mark.parametrize(
    "words",
    [
        ("--shots", "0"),
        ("--shots", "-1"),
        ("--shots", "1.5"),
        ("--seed", "-1"),
        ("--seed", "1e3"),
        ("--limit-train", "0"),
        ("--limit-test", "0"),
        ("--evaluation", "0"),
        ("--evaluation", BIG),
        ("--evaluation", "²"),
        ("--shard", "0/3"),
        ("--shard", "4/3"),
        ("--shard", "1/0"),
        ("--shard", "²/³"),
        ("--batch-size", "0"),
        ("--workers", "0"),
        ("--timeout", "-1"),
        ("--timeout", "nan"),
        ("--timeout", "inf"),
        ("--timeout", "1e300"),
        ("--threshold", ""),
        ("--threshold", "conformal:alpha=0"),
        ("--threshold", "conformal:alpha=1"),
        ("--threshold", "conformal:alpha=nan"),
        ("--threshold", "conformal:alpha=5e-324"),
        ("--threshold", "sigma:k=1e308"),
        ("--cache-size", "-5"),
        ("--cache-size", "1e400GB"),
        ("--device", "tpu"),
        ("--executor", ""),
        ("--executor", "\x1b[2J"),
        ("--address", "x"),
        ("--retry", "sometimes"),
        ("--category", ""),
        ("--category", "\x1b[2J\nerror: x"),
        ("--suite", "file"),
        ("--all", "--recipe", "x"),
        ("--root", "parts"),
        ("--out", ""),
        ("--out", "nope://x"),
        ("--data", ""),
        ("--data", "\u202etrap"),
        ("--data", LONG),
        ("--backbone", LONG),
        ("--backbone", "toy-pixels:cell=\x9b2J"),
        ("--augment", "\x07"),
        ("--colour", "\x1b[31m"),
        ("\x1b[31m",),
    ],
    ids=lambda words: " ".join(words)[:40].encode("unicode_escape").decode(),
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(adbench, words):
    code, out, err = adbench("run", *METHOD, "--data", "parts", "--out", "runs", *words)
    assert (code, out) == (2, "")
    assert err.strip()
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "empty"),
        ("evaluate", "file"),
        ("evaluate", "empty", "--data", "nowhere"),
        ("sweep", "empty", "--sigma", "1"),
        ("sweep", "file", "--aggregate", "max"),
        ("board", "verify", "empty"),
        ("board", "submit", "empty"),
        ("board", "show", "nowhere"),
        ("run", *METHOD, "--data", "./nowhere"),
        ("run", *METHOD, "--data", "empty"),
        ("run", *METHOD, "--data", "file"),
        ("run", *METHOD, "--data", "./" + LONG),
        ("run", *METHOD, "--data", "parts", "--out", "file"),
        ("run", *METHOD, "--data", "parts", "--out", "file/runs"),
        ("run", *METHOD, "--data", "parts", "--out", "/proc/nowhere"),
        ("run", *METHOD, "--data", "parts", "--out", LONG),
        ("check", ""),
        ("data", "verify", "./\x1b[2J"),
    ],
    ids=lambda words: " ".join(word for word in words if word not in METHOD)[:40].encode("unicode_escape").decode(),
)
def test_what_is_not_there_or_cannot_be_written_is_one_line(adbench, words):
    code, _, err = adbench(*words)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("sweep", "empty"),
        ("sweep", "empty", "--sigma", "nan"),
        ("sweep", "empty", "--sigma", BIG),
        ("sweep", "empty", "--sigma", "1", "--share", "nan"),
        ("sweep", "empty", "--sigma", "1", "--share", "0"),
        ("sweep", "empty", "--aggregate", ","),
        ("sweep", "empty", "--aggregate", "max", "--by", "\x1b"),
        ("evaluate", "nowhere"),
        ("evaluate", "empty", "--draws", "1"),
        ("evaluate", "empty", "--threshold", "best"),
        ("plan",),
        ("plan", *METHOD, "--data", "nowhere"),
        ("list", "\x1b[2J"),
        ("\x1b[2J",),
        ("check", "no-such\x1b"),
    ],
    ids=lambda words: " ".join(words)[:40].encode("unicode_escape").decode(),
)
def test_other_commands_refuse_what_cannot_be_meant(adbench, words):
    code, out, err = adbench(*words)
    assert (code, out) == (2, "")
    assert err.strip()


NAMES = [
    "\x1b[2Jx",
    "a\nerror: b",
    "[red]x",
    ":bug:",
    "\u202egnp",
    "-x",
    "x" * 200,
    "a b",
    "%s{0}",
    "$(id)",
    "\x07",
    "日本",
    "e+f,g",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20].encode("unicode_escape").decode())
def test_a_category_of_any_name_runs_and_is_reported_without_harm(adbench, tmp_path, parts, name):
    root = tmp_path / "odd"
    root.mkdir()
    (parts / "bolt").rename(root / name)
    for words in (("run", *METHOD), ("plan", *METHOD)):
        code, out, err = adbench(*words, "--data", "odd", "--out", "runs")
        assert code == 0, err
        assert not any(line.startswith("error: b") for line in (out + err).splitlines())
    assert [read_record(run).task.category for run in find_runs(Path("runs"))] == [name]
    assert adbench("evaluate", "runs")[:2] == (0, "1 run: nothing has changed\n")
    assert adbench("sweep", "runs", "--sigma", "1,4")[0] == 0


@pytest.mark.parametrize("columns", ["0", "1", "7", "-5", "20", "60", "80", "1000000", "wide", ""])
def test_any_window_will_do(adbench, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    assert call(["run", *METHOD, "--data", "parts", "--out", "runs"]) == 0
    assert call(["plan", *METHOD, "--data", "parts", "--out", "runs"]) == 0
    assert call(["sweep", "runs", "--sigma", "1,4"]) == 0
    text = terminal.getvalue()
    assert text.count("100.0") >= 9, "no figure is cut"
    assert "…" not in text


class Terminal(io.StringIO):
    """Takes what a terminal would be told."""

    encoding = "utf-8"

    def isatty(self):
        return True


RECORDS = {
    "empty": "",
    "binary": "\x00\x01",
    "list": "[]",
    "deep": "[" * 100_000,
    "escapes": '{"schema": 2, "id": "\\u001b[2J", "\\u001b[31m": 1}',
    "newer": '{"schema": 999}',
}


@pytest.mark.parametrize("text", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("command", [("evaluate",), ("sweep", "--sigma", "1,4")], ids=["evaluate", "sweep"])
def test_a_broken_record_costs_no_other_its_turn(adbench, command, text):
    assert adbench("run", *METHOD, "--data", "parts", "--out", "runs")[0] == 0
    Path("runs", "broken\x1b").mkdir()
    Path("runs", "broken\x1b", "record.json").write_text(text)
    code, out, err = adbench(command[0], "runs", *command[1:])
    assert code == 1
    assert [line[:7] for line in err.splitlines()] == ["error: "]
    assert out, "the others were heard"


def test_the_same_words_in_the_wrong_order(adbench):
    """Evaluate and sweep before there is a run, the board before there is a record; then all of it in order."""
    for words in (("evaluate", "empty"), ("sweep", "empty", "--sigma", "1"), ("board", "show", "empty")):
        assert adbench(*words)[0] == 1
    assert adbench("plan", *METHOD, "--data", "parts", "--out", "runs")[0] == 0
    assert not Path("runs").exists(), "a plan writes nothing"
    assert adbench("run", *METHOD, "--data", "parts", "--out", "runs")[0] == 0
    for words in (("evaluate", "runs"), ("sweep", "runs", "--sigma", "1"), ("board", "show", "runs")):
        assert adbench(*words)[0] == 0, words


def test_data_that_has_gone_is_missed_once(adbench, parts):
    adbench("run", *METHOD, "--data", "parts", "--out", "runs")
    parts.rename(parts.with_name("moved"))
    for words in (("evaluate", "runs"), ("sweep", "runs", "--sigma", "1,4")):
        code, out, err = adbench(*words)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert "give its place with --data PATH" in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_of_any_encoding_is_plain_text(adbench, parts, encoding):
    (parts / "bolt").rename(parts / "größe 欠陥")
    words = ["run", *METHOD, "--data", "parts", "--seed", "0", "--seed", "1", "--out", "runs"]
    adbench(*words)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "40", "FORCE_COLOR": "1"}
    code = f"from adbench.cli import main; main({words!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    lines = done.stdout.decode(encoding).splitlines()
    assert len([line for line in lines if "100.0" in line]) == 5, "a row a line, however narrow the window"


def test_a_reader_that_stops_listening_is_no_error():
    words = [sys.executable, "-c", "from adbench.cli import main; main(['list', 'backbone'])"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        message = process.stderr.read()
    assert message == b""


@pytest.mark.parametrize("place", ["[red]", "\u202e", "a b", "\x1b[2J"])
def test_a_folder_of_any_name_keeps_runs(adbench, place):
    assert adbench("run", *METHOD, "--data", "parts", "--out", place)[0] == 0
    code, out, _ = adbench("evaluate", place, "--intervals", "--draws", "100", "--json")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["ok", "ok"]


def test_a_cache_that_cannot_be_is_no_reason_to_fail(adbench):
    code, _, err = adbench("run", *METHOD, "--data", "parts", "--out", "runs", "--cache", "file")
    assert code == 0
    assert "file" in err
