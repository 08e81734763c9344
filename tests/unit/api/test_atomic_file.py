import os
import stat
from pathlib import Path

import pytest

from adbench.api.atomic_file import temporary_file
from adbench.files import atomic_write


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_takes_the_place_of_another(tmp_path):
    for content in (b"first", "zweite ü\n"):
        atomic_write(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == "zweite ü\n".encode()
    assert names(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    atomic_write(tmp_path / "file", "old")
    monkeypatch.setattr("adbench.api.atomic_file.TemporaryFile.publish", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_nobody_sees_a_file_before_it_is_published(tmp_path):
    with temporary_file(tmp_path / "file") as temporary:
        temporary.file.write(b"content")
        temporary.file.flush()
        assert not (tmp_path / "file").exists()
        assert temporary.path.parent == tmp_path
        assert temporary.path.name.startswith(".draft-")
        temporary.publish()
        assert (tmp_path / "file").read_bytes() == b"content"
    assert names(tmp_path) == ["file"]


def test_a_draft_that_is_not_published_is_gone(tmp_path):
    with temporary_file(tmp_path / "file") as temporary:
        temporary.file.write(b"content")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize(
    ("mode", "umask", "expected"), [(None, 0o027, 0o640), (0o644, 0o077, 0o644), (0o600, 0, 0o600)]
)
def test_permissions(tmp_path, mode, umask, expected):
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "file", b"", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "missing" / "file", b"")


def test_a_device_is_not_replaced_by_a_file():
    """A file that is renamed to /dev/null takes its place, for whoever may write there."""
    before = Path("/dev/null").stat()
    with pytest.raises(FileExistsError, match="a device lies there"):
        atomic_write(Path("/dev/null"), "content")
    assert Path("/dev/null").stat() == before
