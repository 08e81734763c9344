from __future__ import annotations

import json

import pytest

from adbench.boards.board import Board
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.tables.drift import drift_tables
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.details import Curves, Details, ImageDetail
from adbench.engine.images.corruption import VERSION
from adbench.engine.images.drift_report import DriftReport, DriftWindow, WindowFigures
from adbench.engine.images.drifting import DRIFT_VERSION
from adbench.engine.store.record import canonical_json

BOARD = Board.model_validate(
    {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc"]}
)


def report(alarms=2, *, updated=True, **changes):
    better = WindowFigures(auroc=0.95, false_alarms=1, found=3)
    windows = [
        DriftWindow(
            begin=number,
            end=number + 1,
            frozen=WindowFigures(auroc=0.9 - 0.1 * number, false_alarms=alarms, found=3),
            updated=better if updated else None,
        )
        for number in range(2)
    ]
    given = {"version": DRIFT_VERSION, "corruptions": VERSION, "corruption": "noise", "strength": 2, "threshold": 0.5}
    rest = {"normals": 10, "defective": 3, "clean": better, "windows": windows}
    return DriftReport(**{**given, **rest, **changes})


def test_windows_are_shown_frozen_and_updated(make_record):
    records = [make_record(), make_record(category="cable")]
    found = {records[0].id: [report()], records[1].id: [report(4)]}
    auroc, alarms = drift_tables(tidy(BOARD, records), found)
    assert auroc.title == "Slowly changing test images, image AUROC: normal training images"
    assert auroc.columns == ("method", "drift", "bank", "clean", "1", "2")
    assert auroc.rows == (
        ("knn", "noise 2", "frozen", "95.0", "90.0", "80.0"),
        ("knn", "noise 2", "updated", "95.0", "95.0", "95.0"),
    )
    assert alarms.rows[0] == ("knn", "noise 2", "frozen", "10.0 [2.8, 30.1]", *["30.0 [14.5, 51.9]"] * 2)


def test_a_method_needs_a_report_of_every_unit_and_updates_of_all(make_record):
    records = [make_record(), make_record(category="cable")]
    assert drift_tables(tidy(BOARD, records), {records[0].id: [report()]}) == []
    assert drift_tables(tidy(BOARD, records), {}) == []
    unlike = {records[0].id: [report()], records[1].id: [report(strength=3)]}
    assert drift_tables(tidy(BOARD, records), unlike) == []
    (auroc, _) = drift_tables(tidy(BOARD, records), {records[0].id: [report()], records[1].id: [report(updated=False)]})
    assert [row[2] for row in auroc.rows] == ["frozen"]


def test_more_alarms_than_images_are_not_a_share(make_record):
    record = make_record()
    (_, alarms) = drift_tables(tidy(BOARD, [record]), {record.id: [report(11)]})
    assert alarms.rows[0][4] == "n/a"


def line(record_id, found):
    image = ImageDetail(id='"drifts":[', defect="good", score=1.0)
    return canonical_json(Details(id=record_id, images=[image], by_defect={}, curves=Curves(), drifts=found).to_json())


def test_reports_are_read_from_lines_of_details():
    extras = BoardExtras({"a" * 64: line("a" * 64, [report()]), "b" * 64: line("b" * 64, None)})
    assert extras.drifts() == {"a" * 64: [report()]}
    assert extras.problems == []


@pytest.mark.parametrize(
    "value",
    [
        "[7]",
        '[{"<script>":1}]',
        "[" * 100_000,
        json.dumps([report().model_dump()] * 51),
        json.dumps([{**report().model_dump(), "normals": -1}]),
    ],
)
def test_a_strange_report_is_a_problem_and_no_crash(value):
    extras = BoardExtras({"c" * 64: '{"drifts":' + value + ',"schema":1}'})
    assert extras.drifts() == {}
    assert extras.problems == [f"details of record {'c' * 12}: its reports of drifting images are none"]
