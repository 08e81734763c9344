"""The list of what is installed, kept from one command to the next."""

import json
import subprocess
import sys

import pytest

from adbench.registration import installed_state, listing
from adbench.registration.listing import FOLDER, listed, listing_of
from adbench.registration.registry import Problem, installed


@pytest.fixture
def fresh(monkeypatch):
    """As in a new process that began after the last change of a file; holds an entry for each load of plugins."""
    loads = []
    monkeypatch.setattr(listing, "_is_loaded", lambda: False)
    monkeypatch.setattr(listing, "_installed", lambda: loads.append(1) or installed())
    monkeypatch.setattr(installed_state, "_process_start", lambda: 1e12)
    return loads


def kept(cache):
    return sorted((cache / FOLDER).glob("*.json"))


def test_a_list_is_made_once(fresh, tmp_path):
    first = listed(tmp_path)
    assert listed(tmp_path) == first == listing_of(installed())
    assert len(fresh) == 1
    assert {row["name"] for row in first.rows if row["kind"] == "recipe"} == set(installed().recipe_files)
    assert first.of("scorer")["knn"]["options"]["k"]["default"] == "1"


def test_without_a_cache_it_is_made_each_time(fresh):
    assert listed(None) == listed(None)
    assert len(fresh) == 2


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"roots": 1, "files": [], "stamp": "", "rows": []}', "\0"])
def test_a_damaged_list_is_made_anew(fresh, tmp_path, content):
    listed(tmp_path)
    kept(tmp_path)[0].write_text(content)
    assert listed(tmp_path) == listing_of(installed())
    assert len(fresh) == 2


def test_a_list_with_faults_is_not_kept(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(installed(), "problems", [Problem("theirs", "ImportError: no such module")])
    assert listed(tmp_path).problems == [{"dist": "theirs", "reason": "ImportError: no such module"}]
    assert kept(tmp_path) == []


def test_few_lists_are_kept(fresh, tmp_path, monkeypatch):
    for number in range(10):
        monkeypatch.setenv("ADBENCH_DISABLE", f"nobody-{number}")
        listed(tmp_path)
    assert len(kept(tmp_path)) == 8


def test_a_cache_that_cannot_be_written_costs_only_time(fresh, tmp_path):
    (tmp_path / FOLDER).write_text("a file in the way")
    assert listed(tmp_path) == listing_of(installed())


def test_what_is_loaded_is_not_looked_up(tmp_path):
    installed()
    assert listed(tmp_path) == listing_of(installed())
    assert kept(tmp_path) == []


@pytest.mark.slow
def test_the_second_command_imports_neither_pydantic_nor_a_plugin(cache):
    code = (
        "import sys; from adbench.cli import call; from adbench.registration import installed_state\n"
        "installed_state.MARGIN = -1e9  # the files of a fresh checkout may be seconds old\n"
        "code = call(['list', 'recipe', '--json'])\n"
        "names = ('pydantic', 'adbench.registration.registry', 'adbench.builtin')\n"
        "print([name for name in names if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert first.stderr.splitlines()[-1] == "['pydantic', 'adbench.registration.registry', 'adbench.builtin']"
    assert second.stderr.splitlines()[-1] == "[]"
    assert json.loads(second.stdout) == json.loads(first.stdout)
