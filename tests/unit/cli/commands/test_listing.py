import json
import re

import pytest

from adbench.cli import call
from adbench.registration.registry import Problem, installed


@pytest.fixture
def listed(capsys):
    def listed(*arguments):
        assert call(["list", *arguments]) == 0
        return capsys.readouterr()

    return listed


def test_everything_is_listed_with_where_it_comes_from(listed):
    printed = listed().out
    for entry in installed().entries():
        assert re.search(rf"^  {entry.name} .*\[{entry.dist} {entry.dist_version}\]$", printed, re.MULTILINE)
    for name in installed().recipe_files:
        assert f"\n  {name} " in printed


def test_one_kind_is_listed_with_its_options(listed):
    printed = listed("scorer").out
    assert "k: neighbours to average over (default 1)" in printed
    assert "toy-pixels" not in printed
    assert "root: " in listed("dataset").out
    assert "required" in listed("dataset").out


def test_recipes_are_listed_with_their_titles(listed):
    printed = listed("recipe").out
    assert printed.startswith("recipe\n")
    for name in installed().recipe_files:
        assert name in printed


def test_json_holds_the_same(listed):
    found = json.loads(listed("--json").out)
    names = {(row["kind"], row["name"]) for row in found["components"]}
    assert set(installed().components) <= names
    assert found["problems"] == []
    (knn,) = [row for row in json.loads(listed("backbone", "--json").out)["components"] if row["name"] == "toy-pixels"]
    assert knn["options"] == {"cell": {"default": "8", "required": False, "help": "side of a patch in pixels"}}


def test_a_plugin_that_could_not_be_loaded_is_reported(listed, monkeypatch):
    monkeypatch.setattr(installed(), "problems", [Problem("their-plugin", "ImportError: no such module")])
    printed = listed()
    assert "left out: plugin 'their-plugin': ImportError: no such module" in printed.err
    assert "their-plugin" not in printed.out
    assert json.loads(listed("--json").out)["problems"] == [
        {"dist": "their-plugin", "reason": "ImportError: no such module"}
    ]
