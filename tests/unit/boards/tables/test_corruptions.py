from __future__ import annotations

import json

import pytest

from adbench.boards.board import Board
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.tables.corruptions import corruption_tables
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Curves, Details, ImageDetail
from adbench.engine.images.corruption import VERSION
from adbench.engine.images.corruption_report import CorruptedFigures, CorruptionReport, SetFigures
from adbench.engine.store.record import canonical_json

BOARD = Board.model_validate(
    {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc", "pixel-ap"]}
)


def report(loss=0.1, alarms=2, **changes):
    clean = SetFigures(metrics={"image-auroc": 0.9, "pixel-ap": 0.5}, false_alarms=1)
    corrupted = [
        CorruptedFigures(
            corruption="noise",
            strength=strength,
            metrics={"image-auroc": 0.9 - strength * loss, "pixel-ap": None},
            false_alarms=alarms,
        )
        for strength in (1, 2, 3, 4, 5)
    ]
    given = {"version": VERSION, "grid": (256, 256), "threshold": 0.5, "normals": 10, "clean": clean}
    return CorruptionReport(**{**given, "corrupted": corrupted, **changes})


def test_changes_and_alarms_are_shown_for_each_strength(make_record):
    records = [make_record(), make_record(category="cable")]
    found = {records[0].id: report(0.1), records[1].id: report(0.02, 4)}
    changes, metrics, alarms = corruption_tables(tidy(BOARD, records), found)
    assert changes.title == "Corrupted test images, change of image-auroc: normal training images"
    assert changes.rows == (("knn", "noise", "90.0", "-6.0", "-12.0", "-18.0", "-24.0", "-30.0", "-18.0"),)
    assert metrics.rows == (("knn", "noise", "-18.0", "n/a"),)
    assert alarms.columns[2:] == ("clean", "1", "2", "3", "4", "5")
    assert alarms.rows[0][:4] == ("knn", "noise", "10.0 [2.8, 30.1]", "30.0 [14.5, 51.9]")


def test_a_method_needs_a_report_of_every_unit(make_record):
    records = [make_record(), make_record(category="cable")]
    assert corruption_tables(tidy(BOARD, records), {records[0].id: report()}) == []
    unlike = {records[0].id: report(), records[1].id: report(grid=(64, 64))}
    assert corruption_tables(tidy(BOARD, records), unlike) == []
    assert corruption_tables(tidy(BOARD, records), {}) == []


def line(record_id, found):
    details = Details(
        id=record_id,
        images=[ImageDetail(id='"corruptions":{', defect="good", score=1.0)],
        by_defect={},
        curves=Curves(),
        corruptions=found,
    )
    return canonical_json(details.to_json())


def test_reports_are_read_from_lines_of_details():
    extras = BoardExtras({"a" * 64: line("a" * 64, report()), "b" * 64: line("b" * 64, None)})
    assert extras.reports() == {"a" * 64: report()}
    assert extras.problems == []


@pytest.mark.parametrize(
    "value",
    [
        '{"version":0}',
        '{"<script>":1}',
        '{"grid":' + "[" * 100_000,
        json.dumps({**report().model_dump(), "normals": -1}),
        json.dumps({**report().model_dump(), "corrupted": report().model_dump()["corrupted"] * 24}),
    ],
)
def test_a_strange_report_is_a_problem_and_no_crash(value):
    extras = BoardExtras({"c" * 64: '{"corruptions":' + value + ',"schema":1}'})
    assert extras.reports() == {}
    assert extras.problems == [f"details of record {'c' * 12}: its report of corrupted images is none"]


def test_more_alarms_than_images_are_not_a_share(make_record):
    record = make_record()
    alarms = corruption_tables(tidy(BOARD, [record]), {record.id: report(alarms=11)})[2]
    assert alarms.rows[0][3] == "n/a"
