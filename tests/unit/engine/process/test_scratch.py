import gc
import os
import subprocess
import sys
import time

import pytest

from adbench.engine.process import scratch as module
from adbench.engine.process.scratch import (
    TEMPORARY_FOLDERS,
    Scratch,
    delete,
    delete_leftovers,
    hold_file_lock,
    is_abandoned,
    leftovers,
    size_of,
)

DIE = """
import os, sys
from pathlib import Path
from adbench.engine.process.scratch import Scratch, hold_file_lock
scratch = Scratch(sys.argv[2], Path(sys.argv[1]))
(scratch.path / "file").write_bytes(bytes(1000))
draft = open(Path(sys.argv[1]) / "draft", "wb")
hold_file_lock(draft.fileno())
print("ready", flush=True)
if sys.argv[3] == "die":
    os.kill(os.getpid(), 9)
sys.stdin.read()
"""


def other(folder, prefix, deed):
    process = subprocess.Popen(
        [sys.executable, "-c", DIE, str(folder), prefix, deed], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.slow
def test_a_folder_goes_with_its_block_or_its_owner(tmp_path):
    with Scratch(parent=tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
    kept = Scratch(parent=tmp_path)
    assert kept.folder("a") == kept.folder("a")
    del kept
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_what_the_killed_leave_is_swept_and_counted(tmp_path):
    other(tmp_path, "adbench-", "die").communicate()
    (left,) = leftovers(tmp_path, ["adbench-*"])
    assert delete_leftovers(tmp_path) == (1, 1000 + size_of(left / "owner.lock"))
    assert [path.name for path in tmp_path.iterdir()] == ["draft"]
    assert is_abandoned(tmp_path / "draft")


def test_what_the_living_hold_stays(tmp_path):
    process = other(tmp_path, "adbench-", "live")
    assert delete_leftovers(tmp_path) == (0, 0)
    assert not is_abandoned(tmp_path / "draft")
    process.communicate(b"")
    assert [path.name for path in tmp_path.iterdir()] == ["draft"]


def test_a_users_folder_of_such_a_name_has_no_owner_business(tmp_path):
    (tmp_path / "adbench-runs").mkdir()
    (tmp_path / "adbench-file").write_text("x")
    old = time.time() - 10 * module.OLD
    os.utime(tmp_path / "adbench-runs", (old, old))
    assert delete_leftovers(tmp_path) == (0, 0)


@pytest.mark.parametrize("name", [".old-abc", ".probe-abc", ".draft-abc"])
def test_drafts_without_a_lock_go_when_they_are_old(tmp_path, name):
    (tmp_path / name).mkdir()
    assert delete_leftovers(tmp_path, TEMPORARY_FOLDERS) == (0, 0)
    old = time.time() - 2 * module.OLD
    os.utime(tmp_path / name, (old, old))
    assert delete_leftovers(tmp_path, TEMPORARY_FOLDERS) == (1, 0)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "owner.lock").write_text("")
    (tmp_path / "adbench-link").symlink_to(tmp_path / "mine")
    assert delete_leftovers(tmp_path) == (0, 0)
    delete(tmp_path / "adbench-link")
    assert (tmp_path / "mine").exists()


def test_a_folder_without_rights_goes_too(tmp_path):
    scratch = Scratch(parent=tmp_path)
    (scratch.path / "closed").mkdir()
    (scratch.path / "closed" / "file").write_text("x")
    (scratch.path / "closed").chmod(0)
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_a_fork_does_not_take_the_folder_with_it(tmp_path):
    scratch = Scratch(parent=tmp_path)
    pid = os.fork()
    if pid == 0:
        scratch.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert scratch.path.exists()
    scratch.close()


def test_without_locks_there_is_a_folder_all_the_same(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(module.FileLock, "acquire", refuse)
    with Scratch(parent=tmp_path) as folder:
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_who_speaks_for_a_file_may_be_this_process(tmp_path):
    with (tmp_path / "draft").open("wb") as opened:
        hold_file_lock(opened.fileno())
        assert not is_abandoned(tmp_path / "draft")
    assert is_abandoned(tmp_path / "draft")
    assert not is_abandoned(tmp_path / "none")
