from __future__ import annotations

import pytest

from adbench import StorageError
from adbench.boards.records import installed
from adbench.boards.records.installed import digest_of, raw_scores_fault
from adbench.boards.records.records_io import read_run


def test_raw_scores_beside_a_record_are_seen(make_run):
    folder = make_run()
    assert raw_scores_fault(folder, read_run(folder).record) == ""
    failed = make_run(status="failed")
    assert raw_scores_fault(failed, read_run(failed).record) == ""


@pytest.mark.parametrize(
    ("edit", "raw", "message"),
    [
        (lambda data: data.update(predictions=None), True, "it names no raw scores"),
        (lambda data: None, False, "its raw scores are not beside it"),
        (
            lambda data: data["predictions"].update(sha256="1" * 64),
            True,
            "is not the file that the record was made with",
        ),
    ],
)
def test_raw_scores_that_are_not_there_are_missed(make_run, edit, raw, message):
    folder = make_run(edit=edit, raw=raw)
    assert message in raw_scores_fault(folder, read_run(folder).record)


def test_a_file_without_end_is_not_read_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "MAX_SCORES_BYTES", 1 << 20)
    with (tmp_path / "raw").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StorageError, match="these are no raw scores"):
        digest_of(tmp_path / "raw", tmp_path, 1 << 20)
