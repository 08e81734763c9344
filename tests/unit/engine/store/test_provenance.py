import re
import subprocess
from datetime import datetime, timezone
from email.message import Message
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import adbench
from adbench import Weights
from adbench.engine.store import provenance
from adbench.engine.store.provenance import git_state, provenance_of

REFERENCES = {"anomalib", "torchvision"}
"""What comments compare with: whose convention or resizing is meant."""

MODULES = {"faiss-cpu": "faiss", "open-clip-torch": "open_clip", "segment-anything": "segment_anything"}
"""Names of modules that are not those of their packages."""

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def required(path):
    """Normalised names of all packages that a pyproject.toml requires, extras included."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {canonicalize_name(Requirement(line).name) for line in lines}


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
    assert " thread" in found.device
    assert {"numpy", "torch", "adbench-core"} <= set(found.packages)
    assert "never-installed" not in found.packages


def test_packages_are_those_that_the_parts_require(monkeypatch):
    about = {
        "a-plugin": ["numpy>=1", "PyYAML; extra == 'fast'", "pytest; extra == 'dev'", "not a requirement!"],
        "adbench-core": ["torch>=2", "tomli; python_version < '3'"],
    }

    def metadata(dist):
        found = Message()
        for extra in ("fast", "dev"):
            found["Provides-Extra"] = extra
        for line in about[dist]:
            found["Requires-Dist"] = line
        return found

    monkeypatch.setattr(provenance, "metadata", metadata)
    provenance._required_by.cache_clear()
    found = provenance.package_versions(["a-plugin"])
    provenance._required_by.cache_clear()
    assert found.keys() == {"adbench-core", "numpy", "pyyaml", "torch"}


def test_the_core_names_no_package_that_plugins_bring():
    """Plugins come and go: what is recorded, checked and told is derived from what is installed."""
    root = Path(adbench.__file__).parents[1]
    core = required(root / "pyproject.toml")
    plugins = {path.parent.name: required(path) for path in root.glob("plugins/*/pyproject.toml")}
    foreign = {*plugins, *set().union(*plugins.values())} - core - {"adbench-core", *REFERENCES}
    words = {form for name in foreign for form in (name, name.replace("-", "_"), MODULES.get(name, name))}
    named = {
        f"{path.relative_to(root)}: {found[0]}"
        for path in (root / "adbench").rglob("*.py")
        for found in re.finditer(rf"\b(?:{'|'.join(sorted(words))})\b", path.read_text(encoding="utf-8"))
    }
    assert named == set()


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
