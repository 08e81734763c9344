from __future__ import annotations

import pytest

from adbench import StorageError
from adbench.boards.publish import Renderers, build
from adbench.boards.records.records_io import to_line
from adbench.builtin.reports import Csv, Markdown
from adbench.records import read_records


def test_records_of_runs_and_of_boards_are_the_same(make_run, tmp_path):
    runs = [make_run(category=name) for name in ("a", "b")]
    root = tmp_path / "leaderboards"
    build(runs, root, Renderers(Markdown(), Csv()))
    (file,) = root.glob("*/*/records/*.jsonl.xz")
    wanted = {record.id for record in read_records(*runs)}
    assert len(wanted) == 2
    for place in (runs[0].parent, root, file.parents[1], file):
        assert {record.id for record in read_records(place)} == wanted
    assert len(read_records(root, runs[0], str(file))) == 2


def test_files_of_older_boards_are_read(make_run, make_record, tmp_path):
    (tmp_path / "demo/full-shot/records").mkdir(parents=True)
    file = tmp_path / "demo/full-shot/records/knn.jsonl"
    file.write_text(to_line(make_record()) + "\n", encoding="utf-8")
    for place in (tmp_path, file):
        assert [record.id for record in read_records(place)] == [make_record().id]


def test_a_place_without_records_is_named(tmp_path):
    with pytest.raises(StorageError, match="holds no record; give"):
        read_records(tmp_path)


def test_a_record_that_cannot_be_read_is_named(make_run):
    run = make_run()
    (run / "record.json").write_text("{")
    with pytest.raises(StorageError, match=r"record\.json"):
        read_records(run.parent)
