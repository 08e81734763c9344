from __future__ import annotations

import pytest

from adbench.boards.board import Board
from adbench.boards.records.integrity import MASKS, count_rows, forged, integrity_table
from adbench.boards.records.records_io import read_run
from adbench.boards.tables.tidy import BoardTruth, tidy
from adbench.engine.evaluate.evaluator import EMPTY, VANISHED

BOARD = Board.model_validate(
    {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": ["image-auroc"]}
)


def found(records):
    return dict(integrity_table(tidy(BOARD, records)).rows)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data["recipe"]["spec"]["scorer"][0]["options"].update(k=9), "id does not follow"),
        (lambda data: data["task"].update(seed=1), "id does not follow"),
        (lambda data: data["task"].update(category="cable"), "id does not follow"),
        (lambda data: data["task"]["protocol"].update(shots=4), "id does not follow"),
        (lambda data: data["task"].update(samples_sha="0" * 64), "id does not follow"),
        (lambda data: data.update(id="0" * 64), "id does not follow"),
        (lambda data: data["regime"].update(train_images=4), "learned from 4 images of 5"),
        (lambda data: data["regime"].update(tuned_on_test=True), "disagree on whether the test labels chose"),
        (lambda data: data["provenance"]["weights"].append({"name": "random", "sha256": "0"}), "weights are random"),
        (lambda data: data["provenance"]["weights"].append({"name": "random:x", "sha256": "0"}), "weights are random"),
    ],
)
def test_an_edited_record_is_refused(make_run, edit, said):
    sentence = read_run(make_run(edit=edit))
    assert isinstance(sentence, str)
    assert said in sentence
    assert "edited; run it again" in sentence


def test_what_adbench_writes_is_not_forged(make_record):
    for options in (
        {},
        {"train_images": 0},
        {"random_weights": True},
        {"status": "failed"},
        {"protocol": {"shots": 5}},
    ):
        assert forged(make_record(**options)) == ""


def test_a_clean_board(make_record):
    clean = make_record()
    clean = clean.model_copy(update={"task": clean.task.model_copy(update={"duplicates": []})})
    assert found([clean]) == {
        "identities follow from recipe and task": "all 1 records",
        "raw scores were seen": "yes",
        "all rows saw the same images": "yes",
        "no test image is a training image": "yes",
        "weights were trained": "yes",
        "made from committed code": "no record; 1 made by an installed release",
    }


def test_what_was_found_is_named(make_record):
    odd, leaky = make_record("odd", images="b"), make_record("two", random_weights=True)
    leaky = leaky.model_copy(update={"task": leaky.task.model_copy(update={"duplicates": ["bottle/test/good/1"]})})
    dirty = make_record("one")
    dirty = dirty.model_copy(update={"provenance": dirty.provenance.model_copy(update={"dirty": True})})
    said = found([dirty, leaky, odd])
    assert said["all rows saw the same images"] == "not odd on bottle"
    assert said["no test image is a training image"] == "not bottle/test/good/1"
    assert said["weights were trained"] == "not of two"
    assert said["made from committed code"] == "0 of 1 records; 2 made by an installed release"


def test_counts_of_images_are_told_where_there_are_any(make_record):
    few, many, none = (
        make_record(name, category=category).model_copy(update={"facts": facts})
        for name, category, facts in (
            ("a", "cable", {"repeated_train": 2.0, "files_passed_over": 0.0}),
            ("b", "cable", {"repeated_train": 3.0}),
            ("c", "bolt", {"repeated_train": 0.0}),
        )
    )
    said = found([few, many, none])
    assert said["no training image is there twice"] == "not cable (3)"
    assert said["all files of the dataset were read"] == "yes"
    assert "no test image looks like a training image" not in said
    truth = BoardTruth(unverified=frozenset([many.id]))
    shown = dict(integrity_table(tidy(BOARD, [few, many, none], truth)).rows)
    assert shown["no training image is there twice"] == "not cable (2)"


def test_many_names_are_counted(make_record):
    records = [make_record(f"m{number}", random_weights=True) for number in range(9)]
    assert found(records)["weights were trained"].endswith("m5 and 3 more")


def with_facts(record, **facts):
    return record.model_copy(update={"facts": facts})


def test_they_are_the_facts_that_a_judge_counts():
    assert set(MASKS) == {VANISHED, EMPTY}


def test_nothing_is_said_where_there_is_nothing(make_record):
    assert not list(count_rows([make_record(), with_facts(make_record(), vanished_defects=0.0)]))


def test_vanished_defects_and_empty_masks_are_said_by_category(make_record):
    records = [
        with_facts(make_record(category="bolt", seed=0), vanished_defects=3.0),
        with_facts(make_record(category="bolt", seed=1), vanished_defects=3.0, empty_masks=1.0),
        with_facts(make_record(category="nut"), vanished_defects=2.0),
    ]
    assert list(count_rows(records)) == [
        (
            "no defect is smaller than a pixel of the grid",
            "5 vanish, and count as the pixels they touch: bolt 3, nut 2",
        ),
        ("every mask marks something", "1 mark nothing, and are left out of the pixel metrics: bolt 1"),
    ]


def test_a_board_shows_them(make_record):
    shown = dict(integrity_table(tidy(BOARD, [with_facts(make_record(), vanished_defects=4.0)])).rows)
    assert shown["no defect is smaller than a pixel of the grid"].startswith("4 vanish")


def test_a_count_that_nobody_can_have_is_bounded(make_record):
    ((_, found),) = count_rows([with_facts(make_record(), empty_masks=1e300, vanished_defects=-4.0)])
    assert found.startswith("1000000000 mark nothing")
