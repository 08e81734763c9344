from __future__ import annotations

import pytest

from adbench.boards.board import Board
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.tables.classes import class_tables
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Curves, Details, ImageDetail
from adbench.engine.store.class_report import ClassReport
from adbench.engine.store.record import canonical_json

BOARD = Board.model_validate({"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}})
FIGURES = {"calibration_error": 0.125, "set_size": 1.5, "coverage": 0.9, "lowest_coverage": 0.5}


def report(*confusion, names=("good", "hole"), **changes):
    return ClassReport(names=list(names), confusion=list(confusion), **{**FIGURES, **changes})


def test_figures_are_means_and_images_are_sums_over_seeds(make_record):
    records = [make_record(seed=0), make_record(seed=1)]
    found = {
        records[0].id: report([3, 1], [0, 4]),
        records[1].id: report([4, 0], [2, 2], set_size=2.0, calibration_error=0.075),
    }
    figures, types = class_tables(tidy(BOARD, records), found)
    assert figures.title == "Named classes: normal training images"
    assert figures.rows == (("knn", "10.0", "1.75", "90.0", "50.0"),)
    category = records[0].task.category
    assert types.rows == (
        ("knn", category, "good", "8", "87.5", "good 7, hole 1"),
        ("knn", category, "hole", "8", "75.0", "hole 6, good 2"),
    )


def test_each_category_has_the_reports_of_its_seeds(make_record):
    records = [make_record(category=name, seed=seed) for name in ("bottle", "cable") for seed in (0, 1)]
    found = {one.id: report([1, 0], [place, 1]) for place, one in enumerate(records)}
    _, types = class_tables(tidy(BOARD, records), found)
    holes = {row[1]: row[5] for row in types.rows if row[2] == "hole"}
    assert holes == {"bottle": "hole 2, good 1", "cable": "good 5, hole 2"}


def test_a_method_needs_a_report_of_every_unit(make_record):
    records = [make_record(), make_record(category="cable")]
    assert class_tables(tidy(BOARD, records), {records[0].id: report([1, 0], [0, 1])}) == []
    assert class_tables(tidy(BOARD, records), {}) == []


def test_types_without_images_have_no_row_and_names_are_no_markup(make_record):
    record = make_record()
    confusion = [1, 0, 1], [0, 0, 0], [0, 1, 0]
    _, types = class_tables(
        tidy(BOARD, [record]), {record.id: report(*confusion, names=("good", "none", "a\nb<script>"))}
    )
    assert types.rows[0][2] == "good"
    assert len(types.rows) == 2
    assert all("\n" not in cell for row in types.rows for cell in row)


def line(record_id, found):
    images = [ImageDetail(id='"classes":{', defect="good", score=1.0)]
    details = Details(id=record_id, images=images, by_defect={}, curves=Curves(), classes=found)
    return canonical_json(details.to_json())


def test_reports_are_read_from_lines_of_details():
    one = report([1, 0], [0, 1])
    extras = BoardExtras({"a" * 64: line("a" * 64, one), "b" * 64: line("b" * 64, None)})
    assert extras.classes() == {"a" * 64: one}
    assert extras.problems == []


@pytest.mark.parametrize("value", ['{"names":[]}', '{"<script>":1}', '{"names":' + "[" * 100_000])
def test_a_strange_report_is_a_problem_and_no_crash(value):
    extras = BoardExtras({"c" * 64: '{"classes":' + value + ',"schema":1}'})
    assert extras.classes() == {}
    assert extras.problems == [f"details of record {'c' * 12}: its report of classes is none"]
