from __future__ import annotations

from adbench.boards.board import Board
from adbench.boards.records.integrity import integrity_table
from adbench.boards.tables.annotations import _SENTENCES, annotation_rows
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.evaluator import EMPTY, VANISHED


def with_facts(record, **facts):
    return record.model_copy(update={"facts": facts})


def test_they_are_the_facts_that_a_judge_counts():
    assert set(_SENTENCES) == {VANISHED, EMPTY}


def test_nothing_is_said_where_there_is_nothing(make_record):
    assert not list(annotation_rows([make_record(), with_facts(make_record(), vanished_defects=0.0)]))


def test_vanished_defects_and_empty_masks_are_said_by_category(make_record):
    records = [
        with_facts(make_record(category="bolt", seed=0), vanished_defects=3.0),
        with_facts(make_record(category="bolt", seed=1), vanished_defects=3.0, empty_masks=1.0),
        with_facts(make_record(category="nut"), vanished_defects=2.0),
    ]
    assert list(annotation_rows(records)) == [
        (
            "no defect is smaller than a pixel of the grid",
            "5 vanish, and count as the pixels they touch: bolt 3, nut 2",
        ),
        ("every mask marks something", "1 mark nothing, and are left out of the pixel metrics: bolt 1"),
    ]


def test_a_board_shows_them(make_record):
    board = Board.model_validate(
        {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc"]}
    )
    shown = dict(integrity_table(tidy(board, [with_facts(make_record(), vanished_defects=4.0)])).rows)
    assert shown["no defect is smaller than a pixel of the grid"].startswith("4 vanish")


def test_a_count_that_nobody_can_have_is_bounded(make_record):
    ((_, found),) = annotation_rows([with_facts(make_record(), empty_masks=1e300, vanished_defects=-4.0)])
    assert found.startswith("1000000000 mark nothing")
