"""A file of lines keeps whole lines only."""

import errno
import os

import pytest

from adbench.detector.outputs.lines import LineFile


@pytest.mark.parametrize("named", [True, False])
def test_lines_come_back_and_more_may_follow(tmp_path, named):
    lines = LineFile(tmp_path / "lines" if named else None)
    for round_ in (1, 2):
        lines.append("one\n")
        lines.append("zwölf\n")
        assert [line.decode() for line in lines] == ["one\n", "zwölf\n"] * round_
    lines.close()


def test_an_older_file_goes_on_or_is_written_anew(tmp_path):
    for fresh, expected in ((False, [b"a\n"]), (False, [b"a\n", b"a\n"]), (True, [b"a\n"])):
        lines = LineFile(tmp_path / "lines", fresh=fresh)
        lines.append("a\n")
        assert list(lines) == expected
        lines.close()


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    lines, write = LineFile(tmp_path / "lines"), os.write
    lines.append("whole\n")
    parts = iter([3])

    def full(handle, content):
        for size in parts:
            return write(handle, content[:size])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        lines.append("cut short\n")
    monkeypatch.undo()
    lines.append("next\n")
    assert list(lines) == [b"whole\n", b"next\n"]
