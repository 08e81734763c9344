from __future__ import annotations

import random

import pytest

from adbench.boards.board import Board
from adbench.boards.tables.figures import DASH
from adbench.boards.tables.table import DAGGER, category_tables, cost_table, standings, standings_tables, tables
from adbench.boards.tables.tidy import tidy

METRICS = ("image-auroc", "pixel-auroc")


def board(**changes):
    fields = {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": METRICS}
    return Board.model_validate({**fields, "rank_by": "image-auroc", **changes})


def cells(table, column):
    at = table.columns.index(column)
    return {row[table.columns.index("method")]: row[at] for row in table.rows}


def figures_of(table):
    """Rows without the fingerprint."""
    assert table.columns[-1] == "protocol"
    return [row[:-1] for row in table.rows]


def only(found):
    (table,) = found
    return table


def test_mean_over_categories_of_the_mean_over_seeds_and_its_spread(make_record):
    values = {("a", 0): 0.8, ("a", 1): 0.9, ("b", 0): 0.6, ("b", 1): 0.5}
    records = [make_record(category=category, seed=seed, auroc=value) for (category, seed), value in values.items()]
    table = only(standings_tables(tidy(board(), records)))
    assert figures_of(table) == [("1", "knn", "70.0 ± 0.0", "70.0 ± 0.0")]
    by_category = only(category_tables(tidy(board(), records), "image-auroc"))
    assert by_category.columns == ("method", "a", "b")
    assert by_category.rows == (("knn", "85.0 ± 7.1", "55.0 ± 7.1"),)


def test_one_seed_has_no_spread(make_record):
    assert cells(only(standings_tables(tidy(board(), [make_record(auroc=0.9171)]))), "image-auroc") == {"knn": "91.7"}


def test_no_mean_unless_everything_is_there(make_record):
    names = [f"c{number:02d}" for number in range(15)]
    records = [make_record("whole", category=name) for name in names]
    records += [make_record("part", category=name, auroc=0.99) for name in names[:-1]]
    table = only(standings_tables(tidy(board(), records)))
    assert figures_of(table) == [("1", "whole", "90.0", "90.0"), (DASH, "part", f"{DASH} 14/15", f"{DASH} 14/15")]


def test_a_missing_seed_is_missing(make_record):
    records = [make_record("whole", seed=0), make_record("whole", seed=1), make_record("part", seed=0)]
    assert cells(only(standings_tables(tidy(board(), records))), "image-auroc")["part"] == f"{DASH} 1/2"


def test_a_board_may_say_which_categories_there_are(make_record):
    table = only(standings_tables(tidy(board(categories=("bottle", "cable")), [make_record()])))
    assert cells(table, "image-auroc") == {"knn": f"{DASH} 1/2"}


def test_ties_share_a_rank(make_record):
    records = [make_record(name, auroc=value) for name, value in
               {"b": 0.9001, "a": 0.9, "top": 0.95, "low": 0.1}.items()]  # fmt: skip
    table = only(standings_tables(tidy(board(), records)))
    assert [row[:2] for row in table.rows] == [("1", "top"), ("2=", "a"), ("2=", "b"), ("4", "low")]


@pytest.mark.parametrize(
    ("regime", "said"),
    [
        ({"test_set": True}, "normal training images, transductive (learned from the test images)"),
        ({"class_names": True}, "normal training images, class names"),
        ({"anomalies": True}, "normal training images, labelled anomalies"),
        ({"tuned_per_category": True}, "normal training images, tuned per category"),
        ({"tuned_on_test": True}, "normal training images, tuned on the test labels"),
        ({"train_images": 0}, "zero-shot"),
    ],
)
def test_regimes_are_never_ranked_together(make_record, regime, said):
    records = [make_record("plain", auroc=0.5), make_record("other", auroc=0.9, **regime)]
    first, second = standings_tables(tidy(board(), records))
    assert (first.title, second.title) == ("Standings: normal training images", f"Standings: {said}")
    assert (first.rows[0][:2], second.rows[0][:2]) == (("1", "plain"), ("1", "other"))


def test_every_row_carries_the_fingerprint_of_its_protocol(make_record):
    plain, given = standings_tables(
        tidy(board(), [make_record("a"), make_record("b"), make_record("c", class_names=True)])
    )
    prints = [row[-1] for row in (*plain.rows, *given.rows)]
    assert prints[0] == prints[1] != prints[2]
    assert all(len(digits) == 8 for digits in prints)


def test_few_shots_are_said(make_record):
    few = board(protocol={"shots": 4})
    assert only(standings_tables(tidy(few, [make_record(protocol={"shots": 4})]))).title == "Standings: 4-shot"


def test_rows_of_different_shots_are_ranked_apart(make_record):
    few = board(protocol={"shots": [1, 4]})
    values = {("knn", 1): 0.7, ("knn", 4): 0.9, ("other", 1): 0.8}
    records = [make_record(name, protocol={"shots": shots}, auroc=auroc, images=str(shots))
               for (name, shots), auroc in values.items()]  # fmt: skip
    one, four = standings_tables(tidy(few, records))
    assert (one.title, four.title) == ("Standings: 1-shot", "Standings: 4-shot")
    assert [row[:3] for row in one.rows] == [("1", "other, 1-shot", "80.0"), ("2", "knn, 1-shot", "70.0")]
    assert [row[:3] for row in four.rows] == [("1", "knn, 4-shot", "90.0")]


def test_specs_of_one_name_are_told_apart(make_record):
    table = only(standings_tables(tidy(board(), [make_record(k=1), make_record(k=9, auroc=0.8)])))
    labels = [row[1] for row in table.rows]
    assert len(set(labels)) == 2
    assert all(label.startswith("knn (") and len(label) == len("knn (12345678)") for label in labels)


def test_random_weights_are_marked(make_record):
    table = only(standings_tables(tidy(board(), [make_record(random_weights=True)])))
    assert table.rows[0][1] == f"knn {DAGGER}"
    assert any("random weights" in note for note in table.notes)


@pytest.mark.parametrize("status", ["failed", "out-of-memory", "timeout"])
def test_failures_are_shown_with_their_reason(make_record, status):
    records = [make_record("fine"), make_record("fine", category="cable")]
    records += [make_record("bad"), make_record("bad", category="cable", status=status)]
    table = only(standings_tables(tidy(board(), records)))
    assert cells(table, "image-auroc")["bad"] == f"{DASH} 1/2"
    assert f"bad: {status} on cable: scorer 'knn' broke its contract." in table.notes
    assert cells(only(category_tables(tidy(board(), records), "image-auroc")), "cable")["bad"] == status


def test_what_failed_everywhere_says_so_in_the_standings(make_record):
    table = only(standings_tables(tidy(board(), [make_record(status="timeout"), make_record("fine")])))
    assert cells(table, "image-auroc")["knn"] == "timeout"


def test_an_undefined_metric_is_never_averaged(make_record):
    records = [make_record(auroc=None), make_record(category="cable")]
    table = only(standings_tables(tidy(board(), records)))
    assert figures_of(table) == [(DASH, "knn", "n/a", "n/a")]
    assert "knn: n/a on bottle: no positive pixel." in table.notes
    assert only(category_tables(tidy(board(), records), "pixel-auroc")).rows == (("knn", "n/a", "90.0"),)


def test_a_metric_that_nobody_measured(make_record):
    table = only(standings_tables(tidy(board(metrics=(*METRICS, "new")), [make_record()])))
    assert cells(table, "new") == {"knn": "not measured"}
    assert any(
        "new: the method gives nothing that it reads, or else run 'adbench evaluate'" in note for note in table.notes
    )


def test_an_old_version_of_a_metric_does_not_count(make_record):
    old, new = make_record("old"), make_record("new")
    metrics = {**new.metrics, "image-auroc": new.metrics["image-auroc"].model_copy(update={"version": 2})}
    table, apart = standings_tables(tidy(board(), [old, new.model_copy(update={"metrics": metrics})]))
    assert cells(table, "image-auroc") == {"new": "90.0"}
    assert apart.title == "Standings: normal training images, older metrics (image-auroc 1)"
    assert cells(apart, "image-auroc") == {"old": "old metric"}
    assert cells(apart, "pixel-auroc") == {"old": "90.0"}


def test_records_of_other_images_do_not_count(make_record):
    records = [make_record("one"), make_record("two"), make_record("odd", images="b", auroc=1.0)]
    table = only(standings_tables(tidy(board(), records)))
    assert cells(table, "image-auroc") == {"one": "90.0", "two": "90.0", "odd": "other images"}


def test_files_left_out_are_said(make_record):
    record = make_record()
    record = record.model_copy(update={"task": record.task.model_copy(update={"skipped": ["bottle/test/good/001"]})})
    assert (
        "knn: unreadable files left out: bottle/test/good/001." in only(standings_tables(tidy(board(), [record]))).notes
    )


def test_times_of_several_devices_are_not_averaged(make_record):
    records = [make_record("one"), make_record("two", device="cpu"), make_record("two", category="b", device="gpu")]
    data = tidy(board(), records)
    ((regime, ranked),) = standings(data)
    table = cost_table(data, regime, ranked)
    assert cells(table, "device") == {"one": "cpu", "two": "cpu; gpu"}
    assert cells(table, "ms/image p50") == {"one": "10.0", "two": DASH}
    assert cells(table, "bank MB") == {"one": "4.0", "two": "4.0"}


def test_costs_of_what_never_ran(make_record):
    data = tidy(board(), [make_record(status="failed")])
    ((regime, ranked),) = standings(data)
    assert set(cost_table(data, regime, ranked).rows[0][1:]) == {DASH}


def test_order_of_records_does_not_matter(make_record):
    records = [
        make_record(name, category=category, seed=seed, auroc=value, images=images)
        for name, value in {"a": 0.91, "b": 0.91, "c": None}.items()
        for category in ("x", "y")
        for seed, images in ((0, "a"), (1, "b"))
    ]
    shuffled = records[:]
    random.Random(0).shuffle(shuffled)
    assert tables(tidy(board(), records)) == tables(tidy(board(), shuffled))


def test_a_board_without_records_is_its_heading():
    (heading,) = tables(tidy(board(), []))
    assert (heading.title, heading.columns) == ("Demo", ())


def test_a_category_that_cannot_be_encoded_is_shown_escaped(make_record):
    """JSON may hold half of a pair of surrogates; no table takes two such categories for one."""
    records = [make_record(category="b"), make_record(category="c", auroc=None)]
    for record, category in zip(records, ("a\ud800", "a\ud801"), strict=True):
        object.__setattr__(record, "task", record.task.model_copy(update={"category": category}))
    data = tidy(board(), records)
    (table,) = category_tables(data, "image-auroc")
    assert table.columns == ("method", "a\\ud800", "a\\ud801")
    assert table.rows == (("knn", "90.0", "n/a"),)
    assert "knn: n/a on a\\ud801: no positive pixel." in tables(data)[1].notes


def test_one_spec_under_two_names_is_one_method(make_record):
    calls = [("foo", "bottle"), ("foo", "cable"), ("bar", "grid")]
    records = [make_record(name, category=category, backbone="same") for name, category in calls]
    assert [row[1] for row in only(standings_tables(tidy(board(), records))).rows] == ["foo"]


def test_what_failed_before_it_saw_an_image_is_not_called_zero_shot(make_record):
    table = only(
        standings_tables(tidy(board(), [make_record(status="failed", train_images=0), make_record("other", k=2)]))
    )
    assert [row[1] for row in table.rows] == ["other", "knn"]
