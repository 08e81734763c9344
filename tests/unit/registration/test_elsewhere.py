"""The package of a name that is not installed is named."""

import pytest

from adbench import UnknownName
from adbench.cli import call
from adbench.registration.elsewhere import advice_for
from adbench.registration.registry import Registry, installed, load_registry


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("recipe", "winclip", "adbench-clip"),
        ("scorer", "knn", "adbench-memory"),
        ("", "knn", "adbench-memory"),
        ("dataset", "mulsen-ad", "adbench-data"),
    ],
)
def test_the_package_of_a_known_name_is_named(kind, name, package):
    assert advice_for(name, kind) == f"(it is in {package}: pip install {package})"


@pytest.mark.parametrize(("kind", "name"), [("recipe", "knn"), ("recipe", "nobody"), ("", "demo"), ("no-kind", "knn")])
def test_nothing_is_said_of_other_names(kind, name):
    assert advice_for(name, kind) == ""


def test_errors_name_the_package_where_it_is_missing():
    with pytest.raises(
        UnknownName, match=r"unknown recipe 'winclip' \(it is in adbench-clip: pip install adbench-clip\)"
    ):
        Registry().recipe("winclip")
    with pytest.raises(UnknownName, match=r"unknown scorer 'knn' \(it is in adbench-memory: "):
        Registry().get("scorer", "knn")


@pytest.mark.parametrize("words", [["show", "winclip"], ["run", "--recipe", "winclip", "--data", "demo"]])
def test_commands_say_it_without_the_plugin(words, monkeypatch, capsys):
    fewer = load_registry("adbench-clip")
    monkeypatch.setattr("adbench.registration.registry._loaded", lambda: fewer)
    assert "winclip" not in fewer.recipe_files
    assert call(words) == 2
    assert "(it is in adbench-clip: pip install adbench-clip)" in capsys.readouterr().err
    assert installed() is fewer
