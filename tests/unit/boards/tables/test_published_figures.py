from __future__ import annotations

import pytest

from adbench.boards.board import Board
from adbench.boards.records.published import Published
from adbench.boards.tables.figures import DASH
from adbench.boards.tables.published_figures import fidelity_tables, published_tables
from adbench.boards.tables.tidy import tidy


def board(**rules):
    protocol = rules or {"train": "all"}
    fields = {"title": "Demo", "dataset": "demo", "metrics": ["image-auroc", "pixel-auroc"]}
    return Board.model_validate({**fields, "protocol": protocol})


def published(**changes):
    fields = {"method": "kNN, paper", "dataset": "demo", "shots": "all", "figures": {"image-auroc": 91.0, "pro": 80.0}}
    fields |= {"convention": "224 px", "evidence": "repository", "source": "somewhere"}
    return Published.model_validate({**fields, **changes})


def claim(**changes):
    return published(recipe="knn", tolerance={"image-auroc": 1.5}, **changes)


def row_of(tables):
    (table,) = tables
    return dict(zip(table.columns, table.rows[0], strict=True))


@pytest.mark.parametrize(
    ("auroc", "apart", "result"), [(0.9, "-1.0", "pass"), (0.93, "+2.0", "fail"), (0.89, "-2.0", "fail")]
)
def test_measured_minus_published(make_record, auroc, apart, result):
    row = row_of(fidelity_tables(tidy(board(), [make_record(auroc=auroc)]), [claim()]))
    assert (row["published"], row["difference"], row["tolerance"], row["result"]) == ("91.0", apart, "1.5", result)
    assert row["measured"] == f"{100 * auroc:.1f}"


def test_the_category_that_is_furthest_is_named(make_record):
    targets = {"image-auroc": {"bottle": 92.0, "cable": 85.0, "screw": 10.0}}
    records = [make_record(), make_record(category="cable")]
    assert row_of(fidelity_tables(tidy(board(), records), [claim(categories=targets)]))["furthest"] == "cable +5.0"


def test_what_was_not_measured_is_no_failure(make_record):
    row = row_of(fidelity_tables(tidy(board(), [make_record("another")]), [claim()]))
    assert (row["recipe"], row["measured"], row["result"]) == ("knn", DASH, "not measured")
    part = row_of(fidelity_tables(tidy(board(), [make_record(), make_record("b", category="c")]), [claim()]))
    assert (part["measured"], part["result"]) == (f"{DASH} 1/2", "not measured")


def test_shots_have_to_be_the_same(make_record):
    few = board(shots=[1, 4])
    records = [make_record(protocol={"shots": shots}, auroc=value) for shots, value in ((1, 0.5), (4, 0.9))]
    row = row_of(fidelity_tables(tidy(few, records), [claim(shots=4)]))
    assert (row["recipe"], row["measured"], row["result"]) == ("knn, 4-shot", "90.0", "pass")
    assert fidelity_tables(tidy(board(), records), [claim(shots=4)]) == []


def test_published_figures_are_listed_by_name_and_never_ranked():
    entries = [published(method="b"), published(method="A", figures={"pixel-auroc": 99.0}), published(dataset="other")]
    (table,) = published_tables(board(), entries)
    assert table.columns == ("method", "learned from", "image-auroc", "pixel-auroc", "pro", "convention", "source")
    assert [row[:5] for row in table.rows] == [
        ("A", "all normal images", DASH, "99.0", DASH),
        ("b", "all normal images", "91.0", DASH, "80.0"),
    ]
    assert table.rows[0][-1] == "somewhere (repository)"
    assert published_tables(board(shots=1), entries) == []


def test_zero_shot_stands_beside_few_shot():
    (table,) = published_tables(board(shots=[1, 2]), [published(shots=0, regime="transductive")])
    assert table.rows[0][1] == "zero-shot, transductive"
