import json

import pytest

from adbench.cli import call
from adbench.cli.commands.doctor import _settings, _without_password
from adbench.registration import registry as registration
from adbench.registration.registry import Problem, Registry, load_registry


@pytest.fixture
def report(capsys, tmp_path):
    assert call(["doctor", "--json", "--cache", str(tmp_path)]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_report_has_what_a_bug_report_needs(report):
    assert list(report) == [
        "versions",
        "plugins",
        "packages",
        "devices",
        "runtimes",
        "cache",
        "settings",
        "datasets",
    ]
    assert report["versions"]["adbench"].startswith("0.")
    assert {"torch", "numpy", "pydantic"} <= set(report["packages"])
    assert "core" in report["devices"]["cpu"]
    assert report["datasets"]["demo"].startswith("embedded: 3 categories")


def test_the_cache_of_the_option_is_described(report, tmp_path):
    assert report["cache"]["folder"] == str(tmp_path)
    assert report["cache"]["content"].startswith("features: 0 MB")


def test_the_text_has_one_line_for_each_finding(capsys):
    assert call(["doctor", "--cache", "none"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "versions"
    assert any(line.split() == ["folder", "none"] for line in lines)


def test_a_broken_plugin_is_named_and_changes_the_exit_code(monkeypatch, capsys):
    broken = load_registry()
    broken.problems.append(Problem("adbench-broken", "it cannot be imported; reinstall it"))
    monkeypatch.setattr(registration, "installed", lambda: broken)
    assert isinstance(broken, Registry)
    assert call(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["plugins"]["left out: adbench-broken"].startswith(
        "it cannot be imported"
    )


def test_passwords_of_proxies_stay_hidden():
    assert _without_password("http://me:secret@proxy:3128") == "http://…@proxy:3128"
    assert _without_password("http://proxy:3128") == "http://proxy:3128"
    assert _without_password("/home/me/cache") == "/home/me/cache"


def test_only_known_settings_are_shown():
    assert _settings({"HF_TOKEN": "secret", "HF_HUB_OFFLINE": "1"}, Registry()) == {"HF_HUB_OFFLINE": "1"}
    assert "none of" in _settings({"HF_TOKEN": "secret"}, Registry())["environment"]


def test_our_variables_are_listed_without_values_and_misspelt_ones_are_named():
    found = _settings({"ADBENCH_DISBLE": "a", "ADBENCH_MINE": "b", "ADBENCH_DISABLE": "adbench-x"}, Registry())
    assert found == {
        "ADBENCH_DISABLE": "adbench-x",
        "ADBENCH_DISBLE": "set, but nothing that is installed reads it; did you mean ADBENCH_DISABLE?",
        "ADBENCH_MINE": "set, but nothing that is installed reads it",
    }


def test_a_misspelt_variable_is_a_note_of_every_command_that_loads_plugins(monkeypatch, capsys):
    monkeypatch.setenv("ADBENCH_CASHE", "/tmp")
    assert call(["show", "knn"]) == 0
    assert capsys.readouterr().err == "ADBENCH_CASHE is set, but nothing reads it; did you mean ADBENCH_CACHE?\n"
