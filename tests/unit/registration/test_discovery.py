"""In which order plugins are loaded."""

from __future__ import annotations

import os

import pytest

from adbench.registration.discovery import entry_points


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Puts a distribution with an entry point onto the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name, at):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[adbench]\n{name} = {name}\n[other]\nthing = nowhere\n")
        os.utime(info, (at, at))

    return put


def names():
    return [found.name for found in entry_points()]


def test_core_comes_first_and_others_by_age(put):
    put("aaa-newer", 2_000_000_000)
    put("zzz-older", 1_000)
    found = names()
    assert found[0] == "adbench-core"
    assert found[-2:] == ["zzz-older", "aaa-newer"], "what is on another path comes after what is beside adbench"


def test_of_the_same_age_the_name_decides(put):
    put("bbb", 1_000)
    put("aaa", 1_000)
    assert names()[-2:] == ["aaa", "bbb"]


def test_other_groups_are_not_ours(put):
    put("aaa", 1_000)
    assert {found.point.group for found in entry_points()} == {"adbench"}
