"""The page on other tools is true: its commands and its Python run, as far as the tools are installed."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from adbench.cli import call
from adbench.registration.faults import hook_fault

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "other-tools.md").read_text(encoding="utf-8")
TOOLS = ("mlflow", "wandb", "fiftyone", "huggingface")
QUICK = ["--backbone", "toy-pixels", "--scorer", "toy-nearest", "--limit-train", "4", "--limit-test", "2"]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands():
    """Each line with adbench in it: the variables before, and the words."""
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        if "adbench" in words:
            place = words.index("adbench")
            yield dict(word.split("=", 1) for word in words[:place]), words[place + 1 :]


def run_command(words, tmp_path):
    if words[0] == "run":
        rest = [word for word in words if word not in ("--recipe", "patchcore-lite")]
        words = [*rest, *QUICK, "--category", "brick", "--cache", "none"]
    assert call(words) == 0, words


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "leaderboards").symlink_to(ROOT / "leaderboards")
    return tmp_path


def usable(tool):
    """Whether a tool's plugin and the tool itself are installed; FiftyOne's database is not started for this."""
    needed = {"huggingface": "adbench_huggingface"}.get(tool, tool)
    return tool != "fiftyone" and find_spec(f"adbench_{tool}") is not None and find_spec(needed) is not None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # the tools' own
def test_the_pages_commands_run(workplace, monkeypatch):
    ran = []
    for variables, words in commands():
        tool = next((name for name in TOOLS if name == words[0] or f"ADBENCH_{name.upper()}" in variables), None)
        if tool is None or usable(tool):
            with monkeypatch.context() as patch:
                for name, value in variables.items():
                    patch.setenv(name, value)
                run_command(words, workplace)
            ran.append(tool)
    assert ran[0] is None
    if usable("huggingface"):
        assert (workplace / "bricks" / "README.md").is_file()
        assert (workplace / "space" / "index.html").is_file()


@pytest.mark.slow
def test_the_pages_python_runs(workplace, capsys, monkeypatch):
    run_command(next(commands())[1], workplace)
    tracker, reader = blocks("python")
    space = {"__name__": "tracker"}
    exec(compile(tracker, "the page", "exec"), space)
    assert hook_fault(SimpleNamespace(job_finished=space["job_finished"], __name__="tracker")) == ""
    from adbench.records import read_runs

    (run,) = read_runs("runs")
    capsys.readouterr()
    space["job_finished"](run.record.to_json(), run.folder)
    assert capsys.readouterr().out == "", "nothing is sent unless it is asked for"
    monkeypatch.setenv("MY_TRACKER", "1")
    space["job_finished"](run.record.to_json(), run.folder)
    exec(compile(reader, "the page", "exec"), {})
    shown = capsys.readouterr().out
    assert "on brick, seed 0 toy-pixels" in shown
    assert "'sheet.png'" in shown
    assert "brick brick/test/good/" in shown
    assert "(128, 128)" in shown


def test_the_page_names_every_tool_and_its_variable():
    for tool in TOOLS:
        assert f"adbench-{tool}" in PAGE
        assert any(words[0] == tool for _, words in commands())
    assert {name for variables, _ in commands() for name in variables} == {"ADBENCH_MLFLOW", "ADBENCH_WANDB"}


def test_the_weights_are_those_of_the_installation_page():
    installing = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    sizes = dict(re.findall(r"^\| `(adbench-[\w-]+)` \| plugin.*?\| ([^|]+?) \|", installing, re.MULTILINE))
    shown = dict(re.findall(r"\| \[(adbench-\w+)\].*\| ([^|]+?) \|$", PAGE, re.MULTILINE))
    assert sorted(shown) == sorted(f"adbench-{tool}" for tool in TOOLS)
    shown["adbench-fiftyone"] = "under 1 MB"  # the page counts FiftyOne, which is installed on request
    assert shown == {name: sizes[name] for name in shown}
