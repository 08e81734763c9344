"""`adbench check`, on modules that are written on the spot."""

from __future__ import annotations

import sys

import pytest

from adbench.cli import call
from adbench.registry import installed

GOOD = '''
from adbench import Ending, Executor, hookimpl

class Here(Executor):
    """Runs jobs one after another."""

    name = "here"
    here = True

    def run(self, work, jobs):
        for job in jobs:
            yield Ending(job, work(job.order))

@hookimpl
def register_components(register):
    register(Here)
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_a_module_that_conforms(write, capsys):
    assert call(["check", write("plugin_good", GOOD)]) == 0
    shown = capsys.readouterr().out
    assert "Each job ends exactly once" in shown
    assert shown.strip().splitlines()[-1].endswith(" pass")


def test_a_component_that_does_not(write, capsys):
    text = GOOD.replace("in jobs", "in jobs[:4]")
    assert call(["check", write("plugin_bad", text)]) == 1
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "executor 'here': Each job ends exactly once, in any order. Of 5 jobs these ended: job 0," in shown
    assert shown.endswith("1 FAIL")


def test_metadata_only_leaves_the_work_out(write):
    text = GOOD.replace("in jobs", "in jobs[:4]")
    assert call(["check", write("plugin_meta", text), "--metadata"]) == 0


def test_required_options_are_no_failure(write, capsys):
    text = GOOD.replace(
        '    name = "here"\n',
        '    name = "here"\n\n    class Config(Executor.Config):\n        host: str = Field(description="where")\n',
    ).replace("Executor,", "Executor, Field,")
    assert call(["check", write("plugin_needy", text)]) == 0
    assert "needs options: host" in capsys.readouterr().out


def test_a_component_that_cannot_be_made(write, capsys):
    text = GOOD.replace(
        '    name = "here"\n',
        '    name = "here"\n\n    class Config(Executor.Config, validate_default=True):\n'
        '        n: int = Field(0, ge=1, description="how many")\n',
    ).replace("Executor,", "Executor, Field,")
    assert call(["check", write("plugin_unmade", text)]) == 1
    assert "executor 'here' cannot be made with its own defaults: option 'n'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import adbench\n", 2, "registers no component; mark its register_components function with @hookimpl"),
        ("import nowhere\n", 1, "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (GOOD.replace("register_components", "register_component"), 1, "register_component"),
    ],
)
def test_a_module_that_cannot_be_loaded(write, capsys, text, code, said):
    assert call(["check", write("plugin_odd", text)]) == code
    assert said in capsys.readouterr().err


def test_an_unknown_plugin(capsys):
    assert call(["check", "adbench-cor"]) == 2
    assert "did you mean 'adbench-core'?" in capsys.readouterr().err


def test_a_distribution_by_any_spelling():
    from adbench.cli.check import components_in

    builtin = {entry.cls for entry in installed().entries() if entry.dist == "adbench-core"}
    assert set(components_in("ADBench_Core")) == builtin
