from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from adbench.boards.board import Board
from adbench.boards.tables.frame import COLUMNS, board_frame
from adbench.boards.tables.tidy import tidy
from adbench.records import to_frame


def test_a_record_has_a_row_for_each_metric(make_record):
    records = [make_record("knn", category="a", auroc=0.8), make_record("knn", category="b", seed=1, auroc=0.6)]
    frame = to_frame(records)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == dict(COLUMNS)
    assert frame["record"].tolist() == [records[0].id] * 2 + [records[1].id] * 2
    means = frame.pivot_table(index="method", columns="metric", values="value")
    assert means.loc["knn", "image-auroc"] == pytest.approx(0.7)
    assert frame.groupby("category")["value"].mean().to_dict() == pytest.approx({"a": 0.8, "b": 0.6})


def test_a_record_that_failed_has_one_row(make_record):
    frame = to_frame([make_record(status="failed")])
    assert (frame["status"].tolist(), frame["metric"].isna().tolist()) == (["failed"], [True])
    assert frame["note"].notna().all()
    assert frame[["value", "fit_s", "ms_per_image"]].isna().all(axis=None)


def test_an_undefined_figure_is_missing_and_says_why(make_record):
    frame = to_frame([make_record(auroc=None)])
    assert frame["value"].isna().all()
    assert set(frame["note"]) == {"no positive pixel"}


def test_no_records_give_the_same_columns():
    frame = to_frame([])
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))


def test_what_strangers_write_stays_on_one_line(make_record):
    frame = to_frame([make_record("a\n\x1b[31mb", seed=2**64 - 1)])
    assert set(frame["method"]) == {"a \\x1b[31mb"}
    assert frame["seed"].tolist() == [2**64 - 1] * 2


def test_a_board_names_the_row_of_each_record(make_record):
    board = Board.model_validate({"title": "t", "dataset": "demo", "protocol": {"train": "all"}})
    frame = board_frame(tidy(board, [make_record(k=1), make_record(k=2)]))
    assert list(frame.columns) == ["row", *COLUMNS]
    assert frame["row"].nunique() == 2
    pd.testing.assert_frame_equal(
        frame.drop(columns="row").sort_values(["record", "metric"], ignore_index=True),
        to_frame([make_record(k=1), make_record(k=2)]).sort_values(["record", "metric"], ignore_index=True),
    )


def test_every_column_is_documented():
    text = (Path(__file__).parents[4] / "docs" / "records.md").read_text(encoding="utf-8")
    chapter = text.partition("## As a table")[2].partition("\n## ")[0]
    assert re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]+) \|", chapter, re.MULTILINE))) == list(COLUMNS)
