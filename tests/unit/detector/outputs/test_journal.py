"""Tables go on where a process ended, wherever their last lines were cut."""

import csv
import errno
import json
import os

import pytest

from adbench.detector.outputs.journal import journal_of
from adbench.detector.outputs.rows import COLUMNS
from adbench.errors import StorageError, UsageError


def row(number):
    return {**dict.fromkeys(COLUMNS), "file": f"line\n{number}.png", "score": number / 3, "notes": ["a", "b"]}


def append(folder, *numbers):
    with journal_of(folder, "d") as journal:
        before = [one["file"] for one in journal.rows()]
        for number in numbers:
            journal.writer.write(row(number))
    return before


def files_in_csv(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return [one["file"] for one in csv.DictReader(file)]


@pytest.mark.slow
def test_every_cut_of_the_tables_is_repaired(tmp_path):
    append(tmp_path, 0, 1, 2)
    journal, table = tmp_path / "predictions.jsonl", tmp_path / "predictions.csv"
    whole, csv_whole = journal.read_bytes(), table.read_bytes()
    for size in range(len(whole) + 1):
        journal.write_bytes(whole[:size])
        table.write_bytes(csv_whole[: size % len(csv_whole)])
        kept = append(tmp_path)
        assert kept == [row(number)["file"] for number in range(whole[:size].count(b"\n"))]
        assert append(tmp_path, *range(len(kept), 3)) == kept
        assert (journal.read_bytes(), table.read_bytes()) == (whole, csv_whole)


def test_a_long_torn_line_is_cut(tmp_path):
    append(tmp_path, 0)
    with (tmp_path / "predictions.jsonl").open("ab") as file:
        file.write(b"x" * 200_000)
    assert append(tmp_path, 1) == [row(0)["file"]]
    assert len(files_in_csv(tmp_path)) == 2


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    append(tmp_path, 0, 1)
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b"[]\n" + path.read_bytes())
    with pytest.raises(StorageError, match="line 1 is damaged"):
        append(tmp_path)


def test_drafts_of_a_killed_process_go_away(tmp_path):
    append(tmp_path, 0)
    (tmp_path / "heatmaps").mkdir()
    (tmp_path / "heatmaps" / ".draft-1").write_bytes(b"half")
    append(tmp_path)
    assert list((tmp_path / "heatmaps").iterdir()) == []


def test_a_folder_has_one_detector_and_one_writer(tmp_path):
    with journal_of(tmp_path, "d"), pytest.raises(UsageError, match="another 'adbench watch'"):
        append(tmp_path)
    with pytest.raises(UsageError, match="another detector"), journal_of(tmp_path, "e"):
        pass
    (tmp_path / "watch.json").unlink()
    with pytest.raises(UsageError, match="'adbench predict'"):
        append(tmp_path)


@pytest.mark.parametrize("failing", range(4))
def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch, failing):
    append(tmp_path, 0)
    write, calls = os.write, iter(range(100))

    def full(handle, content):
        if next(calls) >= failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, content[:7] if failing % 2 else content)

    with journal_of(tmp_path, "d") as journal:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StorageError, match="No space left"):
            for number in range(1, 9):
                journal.writer.write(row(number))
        monkeypatch.undo()
    kept = append(tmp_path)
    assert kept == [row(number)["file"] for number in range(len(kept))]
    assert append(tmp_path, *range(len(kept), 5)) == kept
    assert len(files_in_csv(tmp_path)) == 5


def test_contours_without_a_row_go_away(tmp_path):
    append(tmp_path, 0, 1)
    lines = [json.dumps({"file_name": row(number)["file"], "annotations": []}) + "\n" for number in (0, 1, 2)]
    (tmp_path / "coco.jsonl").write_text("".join(lines) + lines[0][:9])
    with journal_of(tmp_path, "d") as journal:
        assert list(journal.contours()) == [line.encode() for line in lines[:2]]
