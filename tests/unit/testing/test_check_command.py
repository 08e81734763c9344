"""`adbench check`, on modules that are written on the spot."""

from __future__ import annotations

import sys

import pytest

from adbench.cli import call
from adbench.registration.registry import installed

GOOD = '''
from adbench import hookimpl
from adbench.executor import Ending, Executor

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


@pytest.mark.slow
def test_a_module_that_conforms(write, capsys):
    assert call(["check", write("plugin_good", GOOD)]) == 0
    shown = capsys.readouterr().out
    assert "Each job ends exactly once" in shown
    assert shown.strip().splitlines()[-1].endswith(" pass")


@pytest.mark.slow
def test_a_component_that_does_not(write, capsys):
    text = GOOD.replace("in jobs", "in jobs[:4]")
    assert call(["check", write("plugin_bad", text)]) == 1
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "executor 'here': Each job ends exactly once, in any order. Of 5 jobs these ended: job 0," in shown
    assert shown.endswith("1 FAIL")


@pytest.mark.slow
def test_metadata_only_leaves_the_work_out(write):
    text = GOOD.replace("in jobs", "in jobs[:4]")
    assert call(["check", write("plugin_meta", text), "--metadata"]) == 0


def test_required_options_are_no_failure(write, capsys):
    text = GOOD.replace(
        '    name = "here"\n',
        '    name = "here"\n\n    class Config(Executor.Config):\n        host: str = Field(description="where")\n',
    ).replace("import hookimpl", "import Field, hookimpl")
    assert call(["check", write("plugin_needy", text)]) == 0
    assert "needs options: host" in capsys.readouterr().out


def test_a_component_that_cannot_be_made(write, capsys):
    text = GOOD.replace(
        '    name = "here"\n',
        '    name = "here"\n\n    class Config(Executor.Config, validate_default=True):\n'
        '        n: int = Field(0, ge=1, description="how many")\n',
    ).replace("import hookimpl", "import Field, hookimpl")
    assert call(["check", write("plugin_unmade", text)]) == 1
    assert "executor 'here' cannot be made with its own defaults: option 'n'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("import adbench\n", 2, "registers no component; mark its register_components function with @hookimpl"),
        ("import nowhere\n", 1, "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        (GOOD.replace("register_components", "register_component"), 1, "register_component"),
    ],
)
def test_a_module_that_cannot_be_loaded(write, capsys, text, code, message):
    assert call(["check", write("plugin_odd", text)]) == code
    assert message in capsys.readouterr().err


def test_an_unknown_plugin(capsys):
    assert call(["check", "adbench-cor"]) == 2
    assert "did you mean 'adbench-core'?" in capsys.readouterr().err


def test_a_distribution_by_any_spelling():
    from adbench.cli.commands.check import components_in

    builtin = {entry.cls for entry in installed().entries() if entry.dist == "adbench-core"}
    assert set(components_in("ADBench_Core")) == builtin


def test_a_modules_name_that_is_taken(write, capsys):
    assert call(["check", write("plugin_thief", GOOD.replace('"here"', '"inline"'))]) == 1
    message = capsys.readouterr().err
    assert (
        "executor 'inline' is registered by both 'adbench-core' and 'plugin_thief'; give Here a name of its own"
        in message
    )


def test_a_module_of_an_installed_plugin_is_that_plugin(capsys):
    from adbench.cli.commands.check import components_in

    assert components_in("adbench.builtin") == components_in("adbench-core")


PAIR = """
from adbench import hookimpl
from adbench.builtin.toy import ToyMedian, ToyResidual

class Own(ToyMedian):
    '''A median of its own.'''

    name = "own-median"

class Reader(ToyResidual):
    '''Reads it.'''

    name = "own-reader"

    @classmethod
    def defaults(cls, config):
        return {"bank": "own-median"}

@hookimpl
def register_components(register):
    register(Own)
    register(Reader)
"""


@pytest.mark.slow
def test_defaults_may_name_what_the_same_module_has(write, capsys):
    assert call(["check", write("plugin_pair", PAIR)]) == 0
    assert "own-median" in capsys.readouterr().out


RECIPES = (
    GOOD
    + """
@hookimpl
def register_recipes(register):
    register(FOLDER)
"""
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("recipe: mine\nbackbone: toy-pixels\nscorer: toy-nearest\n", None),
        ("recipe: other\nbackbone: toy-pixels\nscorer: toy-nearest\n", "make them the same"),
        ("recipe: mine\nbackbone: toy-pixel\nscorer: toy-nearest\n", "did you mean 'toy-pixels'?"),
        ("recipe: mine\nbackbone: {toy-pixels: {cel: 3}}\nscorer: toy-nearest\n", "did you mean 'cell'?"),
        ("recipe: mine\nbackbone: toy-pixels\n", "Field required"),
        ("recipe: mine\nbackbone: toy-pixels\nscoorer: toy-nearest\nscorer: toy-nearest\n", "scoorer"),
        ("recipe: [\n", "while parsing"),
    ],
)
def test_recipes_are_checked_too(write, tmp_path, capsys, text, reported):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text(text)
    code = call(
        ["check", write("plugin_recipes", RECIPES.replace("FOLDER", repr(str(tmp_path / "recipes")))), "--metadata"]
    )
    printed = capsys.readouterr()
    assert code == (reported is not None)
    assert reported is None or reported in printed.err
    assert "recipe mine" in printed.out


@pytest.mark.slow
def test_a_recipe_of_another_plugins_parts_is_no_failure(write, tmp_path, capsys):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.yaml").write_text("recipe: mine\nbackbone: quantum\nscorer: toy-nearest\n")
    name = write("plugin_foreign", RECIPES.replace("FOLDER", repr(str(tmp_path / "recipes"))))
    assert call(["check", name, "--metadata"]) == 0
    message = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "it needs backbone 'quantum', which no installed plugin has" in message
