from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from adbench import StorageError, UsageError
from adbench.boards.tables.frame import COLUMNS, write_frame
from adbench.records import to_frame

FRAME = pd.DataFrame({"text": pd.array(["=SUM(A1)", "plain", None], dtype="string"), "value": [-0.5, 1.0, 2.0]})


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


def test_every_column_is_documented():
    text = (Path(__file__).parents[4] / "docs" / "records.md").read_text(encoding="utf-8")
    chapter = text.partition("## As a table")[2].partition("\n## ")[0]
    assert re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]+) \|", chapter, re.MULTILINE))) == list(COLUMNS)


def test_what_a_record_gives_is_in_its_columns(make_record):
    (row,) = to_frame([make_record(seed=3, device="gpu", test_set=True)]).drop_duplicates("record").to_dict("records")
    assert (row["seed"], row["train_images"], row["test_images"], row["transductive"]) == (3, 5, 10, True)
    assert [row[name] for name in ("ms_per_image", "ms_per_image_p95", "fit_s", "test_s")] == [10.0, 12.0, 2.0, 3.0]
    assert (row["peak_memory_mb"], row["bank_mb"], row["device"], row["runtime"]) == (800.0, 4.0, "gpu", "torch")
    assert row["images"] == make_record().task.samples_sha


def test_a_metric_of_a_stranger_is_printable_too(make_record):
    record = make_record()
    record = record.model_copy(update={"metrics": {"a\nb\x00": record.metrics["image-auroc"]}})
    assert to_frame([record])["metric"].tolist() == ["a b\\x00"]


def test_csv_holds_no_formula_and_every_figure(tmp_path):
    write_frame(FRAME, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "text,value\n'=SUM(A1),-0.5\nplain,1.0\n,2.0\n"


def test_parquet_holds_the_same(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install pyarrow")
    write_frame(FRAME, tmp_path / "x.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), FRAME)


def test_without_pyarrow_the_package_is_named(tmp_path, monkeypatch):
    def missing(*_args, **_options):
        raise ImportError("no engine")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing)
    with pytest.raises(UsageError, match="pip install pyarrow"):
        write_frame(FRAME, tmp_path / "x.parquet")


def test_an_unknown_format_and_a_folder_that_is_not_there_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"as \.csv or \.parquet"):
        write_frame(FRAME, tmp_path / "x.json")
    with pytest.raises(StorageError, match=r"x\.csv"):
        write_frame(FRAME, tmp_path / "no" / "x.csv")
