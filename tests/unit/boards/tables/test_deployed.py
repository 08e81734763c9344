from __future__ import annotations

from adbench.boards.board import Board
from adbench.boards.tables.deployed import deployed_tables
from adbench.boards.tables.figures import DASH
from adbench.boards.tables.tidy import tidy
from adbench.engine.evaluate.threshold import Threshold

BOARD = Board.model_validate(
    {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc"]}
)


def threshold(f1=0.8, **changes):
    figures = {"precision": 0.9, "recall": 0.7, "f1": f1, "fpr": 0.1, "oracle_f1": 0.95}
    figures["oracle_gap"] = 0.95 - (f1 or 0)
    fields = {"method": "conformal", "source": "cross-fitted k=5", "normals": 40, "alpha": 0.05, "value": 1.5}
    return Threshold.model_validate({**fields, **figures, **changes})


def only(tables):
    (table,) = tables
    return table


def test_a_row_is_the_mean_of_means(make_record):
    records = [make_record(seed=seed) for seed in (0, 1)]
    found = {records[0].id: threshold(0.8), records[1].id: threshold(0.7)}
    table = only(deployed_tables(tidy(BOARD, records), found))
    assert table.title == "Deployed, conformal, 5 % false alarms: normal training images"
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["precision"], row["F1"], row["oracle gap"]) == ("90.0 ± 0.0", "75.0 ± 7.1", "20.0 ± 7.1")
    assert len(row["protocol"]) == 8
    assert "Scores of normal images: cross-fitted k=5." in table.notes[0]
    assert any("promises at most" in note for note in table.notes)


def test_no_mean_without_all_units_and_nothing_without_any(make_record):
    records = [make_record(), make_record(category="cable"), make_record("other")]
    table = only(deployed_tables(tidy(BOARD, records), {records[0].id: threshold()}))
    assert [row[:2] for row in table.rows] == [("knn", f"{DASH} 1/2")]
    assert deployed_tables(tidy(BOARD, records), {}) == []


def test_what_came_about_differently_is_listed_apart(make_record):
    records = [make_record(name) for name in ("a", "b", "c", "d")]
    kinds = [
        threshold(),
        threshold(source="held-out 20 %"),
        threshold(alpha=0.1),
        threshold(method="sigma", alpha=None, k=3.0),
    ]
    tables = deployed_tables(tidy(BOARD, records), {r.id: kind for r, kind in zip(records, kinds, strict=True)})
    assert [table.rows[0][0] for table in tables] == ["c", "a", "b", "d"]
    assert len({table.rows[0][-1] for table in tables}) == 4
    assert tables[-1].title.startswith("Deployed, mean + 3 sigma")
    assert not any("promises" in note for note in tables[-1].notes)


def test_why_there_is_no_threshold_is_said(make_record):
    record = make_record()
    nothing = dict.fromkeys(("value", "precision", "recall", "f1", "fpr", "oracle_f1", "oracle_gap"))
    found = threshold(**nothing, reason="conformal needs 19 normal images | [x](http://evil)")
    table = only(deployed_tables(tidy(BOARD, [record]), {record.id: found}))
    assert table.rows[0][1:7] == ("n/a",) * 6
    assert table.notes[-1].startswith("knn: no threshold: conformal needs 19")


def test_methods_without_a_threshold_are_named(make_record):
    records = [make_record(name) for name in ("a", "b", "c")]
    table = only(deployed_tables(tidy(BOARD, records), {records[0].id: threshold()}))
    assert table.notes[-1].startswith("Not here: b, c. Their runs set no threshold;")
    whole = only(deployed_tables(tidy(BOARD, records), {record.id: threshold() for record in records}))
    assert not any("Not here" in note for note in whole.notes)
