"""Completion as a shell asks for it: by words and a position in the environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from adbench.cli import group
from adbench.cli.completion import VARIABLE


def completions(*words):
    """What the last word may become; `type` is "plain" or, for a path, "file"."""
    *before, begun = words
    found = ShellComplete(group, {}, "adbench", VARIABLE).get_completions(before, begun)
    return [(item.type, item.value) for item in found]


def names(*words):
    return [value for kind, value in completions(*words) if kind == "plain"]


def test_recipes_complete():
    assert names("run", "--recipe", "patchcore-l") == ["patchcore-lite"]
    assert names("fit", "--recipe", "patchcore-l") == ["patchcore-lite"]


def test_what_is_no_recipe_completes_as_a_path():
    assert completions("run", "--recipe", "mine/") == [("file", "mine/")]


def test_components_complete_by_the_slot():
    assert "knn" in names("run", "--scorer", "k")
    assert "knn" not in names("run", "--backbone", "k")
    assert "max" in names("fit", "--aggregate", "")


def test_options_of_a_component_complete_behind_its_colon():
    assert "knn:k=" in names("run", "--scorer", "knn:")
    assert names("run", "--scorer", "knn:k=3,rewe") == ["knn:k=3,reweight=", "knn:k=3,reweight_form="]
    assert names("run", "--scorer", "nobody:") == []


def test_datasets_complete():
    assert names("run", "--data", "dem") == ["demo"]
    assert names("data", "show", "dem") == ["demo"]
    assert completions("run", "--data", "./pho") == [("file", "./pho")]


def test_categories_are_those_of_the_named_dataset():
    assert names("run", "--data", "demo", "--category", "gr") == ["grass", "gravel"]
    assert names("data", "show", "demo", "--category", "b") == ["brick"]


def test_a_dataset_that_is_not_there_has_no_categories(tmp_path):
    assert completions("run", "--data", str(tmp_path / "none"), "--category", "") == []


def test_kinds_complete():
    assert names("list", "aug") == ["augmenter"]


def test_commands_complete():
    assert names("do") == ["doctor"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_has_a_script(shell):
    done = CliRunner().invoke(group, ["completion", shell])
    assert done.exit_code == 0
    assert VARIABLE in done.output
    assert f"{shell}_complete" in done.output


@pytest.mark.slow
def test_a_shell_gets_its_answer_from_the_process():
    code = "from adbench.cli import main; main()"
    environment = {
        VARIABLE: "fish_complete",
        "COMP_WORDS": "adbench run --recipe patchcore-l",
        "COMP_CWORD": "patchcore-l",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split("\n")[0].endswith("patchcore-lite")
    assert done.returncode == 0


FISH = 'adbench completion fish | source; complete -C "adbench {}"'
ZSH = """
compdef() {{ }}
compadd() {{ print -l -- $completions }}
_describe() {{ print -l -- ${{completions_with_descriptions%%:*}} }}
_path_files() {{ print -l -- a file }}
commands[adbench]=1
eval "$(adbench completion zsh)"
words=(adbench {}) CURRENT=$#words
_adbench_completion
"""
"""What runs in the shell itself: its completion function, as the Tab key calls it."""


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "script"), [("fish", FISH), ("zsh", ZSH)])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run --recipe patchcore-l", "patchcore-lite"),
        ("run --scorer knn:k", "knn:k="),
        ("run --data demo --category gr", "grass gravel"),
        ("doct", "doctor"),
    ],
)
def test_the_shell_itself_completes(shell, script, line, expected):
    program, bin_folder = shutil.which(shell), Path(sys.executable).parent
    if program is None or not (bin_folder / "adbench").is_file():
        pytest.skip(f"no {shell}, or adbench is not installed as a command")
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    options = ["--no-config"] if shell == "fish" else ["-f"]
    done = subprocess.run(
        [program, *options, "-c", script.format(line)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [row.partition("\t")[0] for row in done.stdout.split("\n") if row] == expected.split(), done.stderr


@pytest.mark.slow
def test_fish_completes_paths_where_no_recipe_begins_like_that(tmp_path):
    fish, bin_folder = shutil.which("fish"), Path(sys.executable).parent
    if fish is None or not (bin_folder / "adbench").is_file():
        pytest.skip("no fish, or adbench is not installed as a command")
    (tmp_path / "mine.yaml").write_text("")
    script = FISH.format("run --recipe ./mi")
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [fish, "--no-config", "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "./mine.yaml" in done.stdout
