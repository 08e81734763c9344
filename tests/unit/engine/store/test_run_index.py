import os
import time
from pathlib import Path

import pytest

from adbench.engine.store import run_index
from adbench.engine.store.run_index import folder_of

A, B = "0123456789ab", "ba9876543210"


@pytest.fixture
def listed(monkeypatch):
    """How often the folder is looked through."""
    times = []
    real = os.listdir
    monkeypatch.setattr(run_index.os, "listdir", lambda path: times.append(path) or real(path))
    return times


def test_a_run_under_another_name_is_found(tmp_path):
    assert folder_of(tmp_path, f"bolt-knn-s0-{A}") == tmp_path / f"bolt-knn-s0-{A}"
    (tmp_path / f"bolt-other-s0-{A}").mkdir()
    assert folder_of(tmp_path, f"bolt-knn-s0-{A}").name == f"bolt-other-s0-{A}"
    assert folder_of(tmp_path, f"bolt-knn-s0-{B}").name == f"bolt-knn-s0-{B}"
    (tmp_path / f"bolt-knn-s0-{A}").mkdir()
    assert folder_of(tmp_path, f"bolt-knn-s0-{A}").name == f"bolt-knn-s0-{A}"


def test_a_former_id_counts_after_the_own_one(tmp_path):
    (tmp_path / f"bolt-old-s0-{B}").mkdir()
    assert folder_of(tmp_path, f"bolt-knn-s0-{A}", B + "00").name == f"bolt-old-s0-{B}"
    (tmp_path / f"bolt-new-s0-{A}").mkdir()
    assert folder_of(tmp_path, f"bolt-knn-s0-{A}", B + "00").name == f"bolt-new-s0-{A}"


def test_what_another_process_puts_there_is_seen_at_once(tmp_path):
    for number in range(50):
        key = f"{number:012x}"
        assert folder_of(tmp_path, f"mine-{key}").name == f"mine-{key}"
        (tmp_path / f"theirs-{key}").mkdir()
        assert folder_of(tmp_path, f"mine-{key}").name == f"theirs-{key}"


def test_a_folder_that_does_not_change_is_looked_through_once(tmp_path, listed, monkeypatch):
    (tmp_path / f"theirs-{A}").mkdir()
    monkeypatch.setattr(run_index.time, "time_ns", lambda: time.monotonic_ns() + 10**20)
    for _ in range(100):
        folder_of(tmp_path, f"mine-{A}")
        folder_of(tmp_path, f"mine-{B}")
    assert len(listed) == 1


@pytest.mark.parametrize("name", [".hidden-" + A, "short", A, "x" + A])
def test_what_is_no_run_is_passed_over(tmp_path, name):
    (tmp_path / name).mkdir()
    assert folder_of(tmp_path, f"mine-{A}") == tmp_path / f"mine-{A}"


def test_a_folder_that_is_not_there(tmp_path):
    assert folder_of(tmp_path / "none", f"mine-{A}") == Path(tmp_path / "none" / f"mine-{A}")
