"""The tutorial and the page on hooks are true: what they show is run, or compared with the code."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adbench.registration import hookspecs

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = (DOCS / "tutorial-plugin.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml)\n# ([\w.]+)\n(.*?)```", TUTORIAL, re.DOTALL))


@pytest.fixture
def plugin(tmp_path):
    """The tutorial's files, and what an installation writes beside them: metadata and entry points."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = FILES["pyproject.toml"]
    name, version = (re.search(rf'^{key} = "(.*)"$', project, re.MULTILINE)[1] for key in ("name", "version"))
    points = re.search(r"^\[project.entry-points.adbench\]\n(.*?)\n\n", project, re.MULTILINE | re.DOTALL)[1]
    info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("[adbench]\n" + points.replace('"', "") + "\n")
    return tmp_path


def shell(plugin, command):
    """Run a line of the tutorial in the plugin's folder."""
    words = command.split()
    module = {"adbench": ["-c", "from adbench.cli import main; main()"], "pytest": ["-m", "pytest"]}[words[0]]
    done = subprocess.run(
        [sys.executable, *module, *words[1:]],
        cwd=plugin,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(plugin), *filter(None, [os.environ.get("PYTHONPATH")])])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def commands():
    (block,) = re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL)
    return block.strip().splitlines()


def test_the_tutorial_is_four_small_files():
    assert FILES.keys() == {"adbench_kth.py", "pyproject.toml", "test_conformance.py", "test_run.py"}
    lines = {name: sum(bool(line.strip()) for line in text.splitlines()) for name, text in FILES.items()}
    assert lines["adbench_kth.py"] <= 25
    assert lines["pyproject.toml"] <= 12
    assert lines["test_conformance.py"] <= 8
    assert lines["test_run.py"] <= 8


def test_the_readme_shows_the_same_plugin():
    assert FILES["adbench_kth.py"] in (DOCS.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_plugin_passes_adbench_check(plugin):
    (command,) = [line for line in commands() if line.startswith("adbench check")]
    shown = shell(plugin, command)
    assert "scorer kth-nearest" in shown
    assert shown.strip().splitlines()[-1].endswith(" pass")


@pytest.mark.slow
def test_the_plugin_passes_its_own_test(plugin):
    shown = shell(plugin, "pytest -q -p no:cacheprovider")
    assert re.search(r"\d+ passed", shown)
    assert "skipped" not in shown


@pytest.mark.slow
def test_the_plugin_runs(plugin):
    (command,) = [line for line in commands() if line.startswith("adbench run")]
    shown = shell(plugin, f"{command} --limit-train 4 --limit-test 2 --device cpu --out runs")
    assert "brick" in shown
    assert list(plugin.glob("runs/**/record.json"))


@pytest.mark.parametrize("hook", ["register_components", "register_recipes", "register_commands", "job_finished"])
def test_hooks_are_documented_with_their_exact_signature(hook):
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    source = inspect.getsource(getattr(hookspecs, hook))
    signature = next(line for line in source.splitlines() if line.startswith("def "))
    assert f"## {hook}\n\n```python\n{signature}\n```\n" in page


def test_all_hooks_are_documented():
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    specs = {name for name, value in vars(hookspecs).items() if hasattr(value, "adbench_spec")}
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == specs
