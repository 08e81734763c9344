from __future__ import annotations

import pandas as pd

from adbench.boards.board import Board
from adbench.boards.page.content import content
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.records.keys import UnitKey
from adbench.boards.tables.frame import READ_BY_TABLES, frame_of
from adbench.boards.tables.table import UNVERIFIED_NOTE, standings_tables
from adbench.boards.tables.tidy import BoardTruth, tidy

METRICS = ("image-auroc", "pixel-auroc")


def board(**options):
    data = {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": METRICS, **options}
    return Board.model_validate(data)


def labels(data):
    return [method.label for method in data.methods]


def unverified(*records, **truth):
    return BoardTruth(unverified=frozenset(record.id for record in records), **truth)


def test_what_is_unverified_stands_last_and_has_no_rank(make_record):
    honest, liar = make_record("honest"), make_record("liar", auroc=1.0)
    first, last = standings_tables(tidy(board(), [liar, honest], unverified(liar)))
    assert first.rows[0][:2] == ("1", "honest")
    assert last.title == "Standings: normal training images, unverified"
    assert last.rows[0][:3] == ("—", "liar, unverified", "100.0")
    assert UNVERIFIED_NOTE in last.notes


def test_it_fills_no_gap_and_opens_none(make_record):
    honest, gap, other = make_record(), make_record(category="cable"), make_record("x", category="new", seed=7)
    data = tidy(board(), [honest, gap, other], unverified(gap, other))
    assert (data.categories, data.seeds) == (("bottle",), (0,))
    assert labels(data) == ["knn", "knn, unverified", "x, unverified"]


def test_a_board_of_nothing_else_shows_it(make_record):
    record = make_record()
    data = tidy(board(), [record], unverified(record))
    assert data.categories == ("bottle",)
    assert content(data, BoardExtras())["methods"][0]["ranks"] == (None, None)


def test_images_are_those_of_the_board(make_record):
    mine, others = make_record(images="a"), [make_record(f"m{k}", k=k, images="b") for k in range(3)]
    place = 0, UnitKey("bottle", 0)
    data = tidy(board(), [mine, *others], BoardTruth(images={place: mine.task.samples_sha}))
    assert [record.recipe.name for record in data.records if data.strange(record)] == ["m0", "m1", "m2"]


def test_versions_are_those_that_are_installed(make_record):
    new = make_record("new")
    metrics = {name: info.model_copy(update={"version": 2}) for name, info in new.metrics.items()}
    new = new.model_copy(update={"metrics": metrics})
    for versions, title in (
        ({"image-auroc": 1, "pixel-auroc": 1}, "unknown here"),
        (dict.fromkeys(METRICS, 3), "older"),
    ):
        titles = {
            row[1]: table.title
            for table in standings_tables(tidy(board(), [new], BoardTruth(versions=versions)))
            for row in table.rows
        }
        assert title in titles["new"]
    assert tidy(board(), [new, make_record(k=2), make_record(k=3)]).truth.versions["image-auroc"] == 1


def test_a_category_that_a_board_names_twice_counts_once(make_record):
    data = tidy(board(categories=("bottle", "bottle")), [make_record()])
    assert data.categories == ("bottle",)
    assert standings_tables(data)[0].rows[0][:3] == ("1", "knn", "90.0")


def test_the_frame_names_the_row_of_each_record(make_record):
    """Records of one name are of two methods; texts are as the records have them."""
    data = tidy(board(), [make_record("a\x1b", k=1), make_record("a\x1b", k=2, images="b"), make_record("b", k=3)])
    frame = data.frame
    assert list(frame.columns) == [*READ_BY_TABLES, "row", "strange"]
    listed = [record for method in data.methods for record in method.records.values()]
    assert dict(zip([listed[number].id for number in frame.index], frame["row"], strict=True)) == {
        record.id: method.key for method in data.methods for record in method.records.values()
    }
    own = frame.drop(columns=["row", "strange"])
    pd.testing.assert_frame_equal(own, frame_of(listed)[[*READ_BY_TABLES]])
    strange = {record.id for record in listed if data.strange(record)}
    assert {listed[number].id for number in frame.index[frame["strange"].astype(bool)]} == strange != set()
