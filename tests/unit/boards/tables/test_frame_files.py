from __future__ import annotations

import pandas as pd
import pytest

from adbench import StorageError, UsageError
from adbench.boards.tables.frame_files import write_frame

FRAME = pd.DataFrame({"text": pd.array(["=SUM(A1)", "plain", None], dtype="string"), "value": [-0.5, 1.0, 2.0]})


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
