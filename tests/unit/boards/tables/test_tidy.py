from __future__ import annotations

import hashlib

import pytest

from adbench.boards.board import Board
from adbench.boards.page.content import content
from adbench.boards.page.html import board_html, index_html
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.tables.table import FIXED, READ_AS, UNVERIFIED_NOTE, category_tables, standings_tables
from adbench.boards.tables.tidy import BoardTruth, UnitKey, method_key, short_keys, tidy

METRICS = ("image-auroc", "pixel-auroc")


def board(**options):
    data = {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": METRICS, **options}
    return Board.model_validate(data)


def labels(data):
    return [method.label for method in data.methods]


def seeds(make_record, name="knn", *, drew=False, auroc=(0.9, 0.9), images=("a", "a"), **options):
    return [
        make_record(name, seed=seed, auroc=value, images=shown, **options).model_copy(update={"drew": drew})
        for seed, (value, shown) in enumerate(zip(auroc, images, strict=True))
    ]


def cell(records, **options):
    (table,) = standings_tables(tidy(board(**options), records))
    return table.rows[0][table.columns.index("image-auroc")]


def test_where_nothing_was_drawn_there_is_no_spread(make_record):
    assert cell(seeds(make_record)) == "90.0 det."
    (table,) = category_tables(tidy(board(), seeds(make_record)), "image-auroc")
    assert table.rows == (("knn", "90.0 det."),)
    assert FIXED in READ_AS


@pytest.mark.parametrize("drew", [True, None])
def test_where_something_was_or_nobody_knows_there_is(make_record, drew):
    assert cell(seeds(make_record, drew=drew)) == "90.0 ± 0.0"


def test_seeds_that_saw_other_images_have_a_spread(make_record):
    assert cell(seeds(make_record, images=("a", "b"))) == "90.0 ± 0.0"


def test_seeds_that_differ_have_a_spread_whatever_they_say(make_record):
    assert cell(seeds(make_record, auroc=(0.9, 0.8))) == "85.0 ± 7.1"
    assert cell(seeds(make_record, auroc=(0.9, 0.9 + 1e-9))) == "90.0 det."


def test_one_of_the_seeds_is_enough_for_a_spread(make_record):
    first, second = seeds(make_record)
    assert cell([first, second.model_copy(update={"drew": True})]) == "90.0 ± 0.0"


def test_one_seed_has_neither(make_record):
    assert cell(seeds(make_record)[:1]) == "90.0"


def test_the_page_says_so_too(make_record):
    shown = content(tidy(board(), seeds(make_record)), BoardExtras())
    assert shown["methods"][0]["figures"][0] == [90.0, "det."]
    assert "<em>det.</em>: nothing was drawn" in board_html(shown)
    assert "90.0 det." in index_html(["demo/full-shot"], [shown])


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
    assert tidy(board(), [new, make_record(k=2), make_record(k=3)]).versions["image-auroc"] == 1


@pytest.mark.parametrize(
    "evil", ["knn ({})", "knn, unverified", "knn, full-shot", "knn [{}]", "KNN", " knn", "knn\u200b"]
)
def test_labels_are_unique_whatever_strangers_call_themselves(make_record, evil):
    records = [make_record(k=1), make_record(k=2)]
    key = method_key(records[0])[:8]
    rivals = [make_record(evil.format(key), k=k) for k in (3, 4)]
    data = tidy(board(), [*records, *rivals], unverified(rivals[0]))
    assert len(set(labels(data))) == 4
    assert [label for label in labels(data) if label == f"knn ({key})"] == [f"knn ({key})"]


def test_keys_have_128_bits_and_show_as_many_as_are_needed(make_record):
    assert len(method_key(make_record())) == 32
    one, two, other = "a" * 31 + "b", "a" * 31 + "c", hashlib.sha256(b"").hexdigest()[:32]
    assert short_keys([one, other]) == {one: one[:8], other: other[:8]}
    assert short_keys([one, two]) == {one: one, two: two}
    assert short_keys([]) == {}
