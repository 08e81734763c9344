import pytest

from adbench.engine.process.worker_status import UnitAtWork, WorkerStatus


def test_a_worker_says_where_it_is(tmp_path):
    post = WorkerStatus(tmp_path / "sign", place=3)
    assert WorkerStatus.read(post.file) is None
    post.stand(7.5)
    assert (WorkerStatus.read(post.file).unit, WorkerStatus.read(post.file).limit) == (3, 7.5)
    post.wait()
    assert (WorkerStatus.read(post.file).unit, WorkerStatus.read(post.file).waits) == (None, True)
    post.leave()
    assert (WorkerStatus.read(post.file).unit, WorkerStatus.read(post.file).waits) == (None, False)
    WorkerStatus.clear(post.file)
    assert list(tmp_path.iterdir()) == []


def test_the_stack_of_a_worker_that_ended_itself_is_read(tmp_path):
    post = WorkerStatus(tmp_path / "sign")
    post.stand(1.0)
    with post.last_words() as file:
        assert not WorkerStatus.read(post.file).late
        file.write(b"File spam.py \xff")
    assert WorkerStatus.read(post.file).late
    assert WorkerStatus.read(post.file).stack == "File spam.py \N{REPLACEMENT CHARACTER}"
    post.stand()
    assert not WorkerStatus.read(post.file).late, "it was no longer under its limit"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"unknown": 1}', "\0"])
def test_a_damaged_sign_is_none(tmp_path, text):
    (tmp_path / "sign").write_text(text)
    assert WorkerStatus.read(tmp_path / "sign") is None


def test_where_nobody_reads_nothing_is_written(tmp_path):
    post = WorkerStatus()
    post.stand()
    with post.last_words() as file:
        assert file is None
    assert WorkerStatus.read(None) is None
    WorkerStatus.clear(None)


def test_what_cannot_be_written_stops_nothing(tmp_path):
    post = WorkerStatus(tmp_path / "gone" / "sign")
    post.stand()
    with post.last_words() as file:
        assert file is None
    assert WorkerStatus.read(post.file) is None


def test_a_sign_is_between_units_unless_it_says_so():
    assert (UnitAtWork().unit, UnitAtWork().late) == (None, False)
