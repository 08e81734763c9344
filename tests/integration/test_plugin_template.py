"""A plugin made of the template is whole: it keeps the contracts and passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "plugin-template"
ANSWERS = {"word": "far-out", "component": "far-neighbour", "summary": "Distance to a far neighbour."}


def copied(folder, **answers):
    if find_spec("copier") is None:
        pytest.skip("copier is not installed; make install installs it")
    data = [part for key, value in answers.items() for part in ("--data", f"{key}={value}")]
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", *data, str(TEMPLATE), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The plugin with what an installation writes beside its sources: metadata and entry points."""
    folder = tmp_path_factory.mktemp("plugin") / "adbench-far-out"
    done = copied(folder, **ANSWERS)
    assert done.returncode == 0, done.stderr
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "src" / "adbench_far_out-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["adbench"].items()
    (info / "entry_points.txt").write_text("[adbench]\n" + "".join(f"{key} = {value}\n" for key, value in points))
    return folder


def shell(plugin, *words):
    path = os.pathsep.join([str(plugin / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *words],
        cwd=plugin,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_plugin_keeps_the_contracts(plugin):
    shown = shell(plugin, "-c", "from adbench.cli import main; main()", "check", "adbench-far-out")
    assert "scorer far-neighbour" in shown
    assert shown.strip().splitlines()[-1].endswith(" pass")


@pytest.mark.slow
def test_the_plugin_passes_its_own_tests(plugin):
    shown = shell(plugin, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert " passed" in shown
    assert "failed" not in shown


@pytest.mark.slow
def test_no_question_is_left_in_its_files(plugin):
    made = {".dist-info", "__pycache__"}  # by installing and running it
    files = [path for path in plugin.rglob("*") if path.is_file() and not any(word in str(path) for word in made)]
    assert {"README.md", "pyproject.toml", "scorer.py", "test_scorer.py", "ci.yml"} <= {path.name for path in files}
    assert [path.name for path in files if "{{" in path.read_text(encoding="utf-8") or path.suffix == ".jinja"] == []


@pytest.mark.slow
def test_a_name_that_is_no_name_is_refused(tmp_path):
    done = copied(tmp_path / "plugin", word="Far Out!")
    assert done.returncode != 0
    assert "lower-case letters" in done.stderr
    assert not (tmp_path / "plugin").exists()


def test_the_workflow_for_boards_runs_the_check():
    workflow = yaml.safe_load((ROOT / "examples" / "board-check.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["check"]["steps"]
    assert any(step.get("run") == 'adbench board check "$BOARDS"' for step in steps)
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "pull_request_target" not in workflow[True]
