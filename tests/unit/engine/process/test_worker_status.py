import pytest

from adbench.engine.process.worker_status import LastStatus, WorkerStatus


def test_a_worker_says_where_it_is(tmp_path):
    status = WorkerStatus(tmp_path / "sign", place=3)
    assert WorkerStatus.read(status.file) is None
    status.at_unit(7.5)
    assert (WorkerStatus.read(status.file).unit, WorkerStatus.read(status.file).limit) == (3, 7.5)
    status.waiting()
    assert (WorkerStatus.read(status.file).unit, WorkerStatus.read(status.file).waits) == (None, True)
    status.between_units()
    assert (WorkerStatus.read(status.file).unit, WorkerStatus.read(status.file).waits) == (None, False)
    WorkerStatus.clear(status.file)
    assert list(tmp_path.iterdir()) == []


def test_the_stack_of_a_worker_that_ended_itself_is_read(tmp_path):
    status = WorkerStatus(tmp_path / "sign")
    status.at_unit(1.0)
    with status.stack_file() as file:
        assert not WorkerStatus.read(status.file).late
        file.write(b"File spam.py \xff")
    assert WorkerStatus.read(status.file).late
    assert WorkerStatus.read(status.file).stack == "File spam.py \N{REPLACEMENT CHARACTER}"
    status.at_unit()
    assert not WorkerStatus.read(status.file).late, "it was no longer under its limit"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"unknown": 1}', "\0"])
def test_a_damaged_sign_is_none(tmp_path, text):
    (tmp_path / "sign").write_text(text)
    assert WorkerStatus.read(tmp_path / "sign") is None


def test_where_nobody_reads_nothing_is_written(tmp_path):
    status = WorkerStatus()
    status.at_unit()
    with status.stack_file() as file:
        assert file is None
    assert WorkerStatus.read(None) is None
    WorkerStatus.clear(None)


def test_what_cannot_be_written_stops_nothing(tmp_path):
    status = WorkerStatus(tmp_path / "gone" / "sign")
    status.at_unit()
    with status.stack_file() as file:
        assert file is None
    assert WorkerStatus.read(status.file) is None


def test_a_sign_is_between_units_unless_it_says_so():
    assert (LastStatus().unit, LastStatus().late) == (None, False)
