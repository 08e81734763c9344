import subprocess
from datetime import datetime, timezone

import pytest

import adbench
from adbench import Weights
from adbench.engine.store import provenance
from adbench.engine.store.provenance import git_state, provenance_of

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def git(folder, *words):
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A repository with the package in its root, as adbench's own."""
    package = tmp_path.resolve() / "repository" / "package"
    package.mkdir(parents=True)
    (package / "file").write_text("1")
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    return package


def test_commit_and_changes_are_known(checkout):
    commit, dirty = git_state(checkout)
    assert len(commit) == 40
    assert dirty is False
    (checkout / "file").write_text("2")
    assert git_state(checkout) == (commit, True)


def test_a_new_file_does_not_make_it_dirty(checkout):
    (checkout / "new").write_text("")
    assert git_state(checkout)[1] is False


def test_an_environment_inside_somebody_elses_repository_has_no_commit(checkout):
    installed = checkout / "site-packages" / "adbench"
    installed.mkdir(parents=True)
    assert git_state(installed) == (None, None)


def test_no_repository_and_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.resolve().parent))
    assert git_state(tmp_path) == (None, None)
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == (None, None)


def test_provenance_names_what_took_part():
    found = provenance_of("cpu", "torch", [Weights("net", "0" * 64)], ["adbench-core", "never-installed"], NOON)
    assert found.started == "2026-01-02T12:00:00+00:00"
    assert found.weights[0].name == "net"
    assert found.adbench == adbench.__version__
    assert "threads" in found.device
    assert {"numpy", "torch", "adbench-core"} <= set(found.packages)
    assert "never-installed" not in found.packages


def test_git_is_asked_once_for_all_records_of_a_process(monkeypatch):
    asked = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: asked.append(words) or real(*words, **options))
    provenance._own_state.cache_clear()
    for _ in range(5):
        provenance_of("cpu", "torch", [], ["adbench-core"], NOON)
    assert len(asked) <= 1


def test_a_checkout_without_a_commit_has_none(tmp_path):
    package = tmp_path.resolve() / "new" / "package"
    package.mkdir(parents=True)
    git(package.parent, "init")
    assert git_state(package) == (None, None)
