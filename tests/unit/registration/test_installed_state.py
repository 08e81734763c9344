"""The state of what is installed: each change shows."""

import importlib
import sys
import zipfile

import pytest

from adbench.registration import installed_state
from adbench.registration.installed_state import InstalledState


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder on the path with an imported package and a distribution; files may be as new as they are."""
    (tmp_path / "hookpack").mkdir()
    (tmp_path / "hookpack" / "__init__.py").write_text("VALUE = 1\n")
    (tmp_path / "hookpack" / "parts.yaml").write_text("a: 1\n")
    (tmp_path / "hook_pack-1.0.dist-info").mkdir()
    (tmp_path / "hook_pack-1.0.dist-info" / "entry_points.txt").write_text("[adbench]\nx = hookpack\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(installed_state, "_process_start", lambda: 1e12)
    importlib.import_module("hookpack")
    yield tmp_path
    sys.modules.pop("hookpack")


def rewritten(place):
    (place / "hookpack" / "__init__.py").write_text("VALUE = 2\n")


def added(place):
    (place / "hookpack" / "more.py").write_text("")


def removed(place):
    (place / "hookpack" / "parts.yaml").unlink()


def installed(place):
    (place / "other-2.0.dist-info").mkdir()


def other_points(place):
    (place / "hook_pack-1.0.dist-info" / "entry_points.txt").write_text("[adbench]\nx = hookpick\n")


def module_beside(place):
    (place / "optional_helper.py").write_text("")


def nothing(place):
    (place / "hookpack" / "__pycache__").mkdir(exist_ok=True)
    (place / "hookpack" / "__pycache__" / "parts.pyc").write_bytes(b"")


@pytest.mark.parametrize("change", [rewritten, added, removed, installed, other_points, module_beside])
def test_each_change_shows(place, change):
    roots, files, stamp = InstalledState.now().watched(["hookpack"])
    assert InstalledState.now().is_unchanged(roots, files, stamp)
    change(place)
    assert not InstalledState.now().is_unchanged(roots, files, stamp)


def test_compiled_files_are_no_change(place):
    roots, files, stamp = InstalledState.now().watched(["hookpack"])
    nothing(place)
    assert InstalledState.now().is_unchanged(roots, files, stamp)


def test_a_change_of_a_module_that_a_plugin_imported_from_elsewhere_shows(place, tmp_path_factory):
    helper = tmp_path_factory.mktemp("elsewhere") / "hookhelper.py"
    helper.write_text("VALUE = 1\n")
    sys.path.append(str(helper.parent))
    importlib.import_module("hookhelper")
    try:
        roots, files, stamp = InstalledState.now().watched(["hookpack"])
        assert roots == [str(place / "hookpack")]
        assert str(helper) in files
        helper.write_text("VALUE = 2\n")
        assert not InstalledState.now().is_unchanged(roots, files, stamp)
    finally:
        sys.modules.pop("hookhelper")


def test_the_environment_has_a_key_of_its_own(monkeypatch):
    key = InstalledState.now().key
    monkeypatch.setenv("OLDPWD", "/elsewhere")
    assert InstalledState.now().key == key
    monkeypatch.setenv("ADBENCH_DISABLE", "adbench-dino")
    assert InstalledState.now().key != key
    monkeypatch.delenv("ADBENCH_DISABLE")
    monkeypatch.setattr(sys, "path", [*sys.path, "/elsewhere"])
    assert InstalledState.now().key != key


def test_what_changed_after_the_start_of_the_process_is_not_kept(place, monkeypatch):
    changed = (place / "hookpack" / "__init__.py").stat().st_ctime
    monkeypatch.setattr(installed_state, "_process_start", lambda: changed + installed_state.MARGIN - 1)
    assert InstalledState.now().watched(["hookpack"]) is None


def test_a_plugin_in_an_archive_is_not_kept(tmp_path, monkeypatch):
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zippedhooks/__init__.py", "")
    monkeypatch.setattr(sys, "path", [str(archive)])
    monkeypatch.setattr(installed_state, "_process_start", lambda: 1e12)
    importlib.import_module("zippedhooks")
    assert InstalledState.now().watched(["zippedhooks"]) is None
    sys.modules.pop("zippedhooks")


def test_a_module_without_a_file_is_not_kept(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "made_by_hand", type(sys)("made_by_hand"))
    assert InstalledState.now().watched(["hookpack", "made_by_hand"]) is None


def test_too_many_files_are_not_kept(place, monkeypatch):
    monkeypatch.setattr(installed_state, "_MOST_WATCHED", 1)
    assert InstalledState.now().watched(["hookpack"]) is None
