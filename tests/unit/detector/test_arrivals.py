"""Files are taken once, and when they are whole."""

import pytest

from adbench.detector.arrivals import Arrivals
from adbench.errors import DataError


def names(poll):
    return [path.name for path in poll.ready]


def test_a_file_is_ready_when_two_looks_find_it_unchanged(tmp_path):
    arrivals = Arrivals(tmp_path)
    assert arrivals.poll() == ([], 0)
    (tmp_path / "a.png").write_bytes(b"half")
    assert arrivals.poll() == ([], 1)
    (tmp_path / "a.png").write_bytes(b"half and more")
    (tmp_path / "b.png").write_bytes(b"")
    assert arrivals.poll() == ([], 2)
    assert names(arrivals.poll()) == ["a.png", "b.png"]
    assert names(arrivals.poll()) == ["a.png", "b.png"]


def test_a_taken_file_and_a_known_one_are_not_new(tmp_path):
    (tmp_path / "box").mkdir()
    for name in ("a.png", "box/b.png", "box/notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    arrivals = Arrivals(tmp_path, ["a.png"])
    arrivals.poll()
    (path,) = arrivals.poll().ready
    assert arrivals.name_of(path) == "box/b.png"
    arrivals.take(path)
    assert arrivals.poll() == ([], 0)


def test_a_file_that_went_away_is_forgotten(tmp_path):
    arrivals = Arrivals(tmp_path)
    (tmp_path / "a.png").write_bytes(b"x")
    arrivals.poll()
    (tmp_path / "a.png").unlink()
    assert arrivals.poll() == ([], 0)
    (tmp_path / "a.png").write_bytes(b"x")
    assert arrivals.poll() == ([], 1)


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be listed"):
        Arrivals(tmp_path / "gone").poll()
