import pytest

from adbench import StorageError
from adbench.engine.store.new_run import new_run
from adbench.engine.store.record import find_runs, read_record, write_record


def test_a_run_appears_whole_or_not_at_all(tmp_path, make_record):
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path, "a") as draft:
        write_record(draft, make_record())
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with new_run(tmp_path, "a") as draft:
        write_record(draft, make_record())
        assert find_runs(tmp_path) == [], "a draft is not found"
    assert find_runs(tmp_path) == [tmp_path / "a"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]


def test_a_new_run_takes_the_place_of_an_old_one(tmp_path, make_record):
    for status in ("failed", "ok"):
        with new_run(tmp_path, "a") as draft:
            write_record(draft, make_record(status=status))
    assert read_record(tmp_path / "a").status == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--out"), new_run(tmp_path / "file", "a"):
        raise AssertionError
