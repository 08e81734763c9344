from __future__ import annotations

import pytest

from adbench import UsageError
from adbench.boards.board import Board
from adbench.boards.records.keys import method_key
from adbench.boards.records.records_io import FoundRecord
from adbench.boards.records.submission import of_one_method, review


def board(**rules):
    protocol = {"seeds": [0, 1], **({} if "shots" in rules else {"train": "all"}), **rules}
    return Board.model_validate({"title": "D", "dataset": "demo", "protocol": protocol, "metrics": ["image-auroc"]})


def found(*records):
    return [FoundRecord(record, f"runs/{index}") for index, record in enumerate(records)]


def whole(make_record, **options):
    return found(*(make_record(category=c, seed=s, **options) for c in ("a", "b") for s in (0, 1)))


def test_one_method_needs_no_name(make_record):
    members = whole(make_record)
    assert of_one_method(members, None) == members


def test_of_several_one_is_named_by_name_or_key(make_record):
    mine, other = make_record("mine"), make_record("other")
    assert of_one_method(found(mine, other), "mine") == found(mine)
    assert of_one_method(found(mine, other), method_key(mine)[:6]) == found(mine)


@pytest.mark.parametrize("named", [None, "nobody"])
def test_without_a_choice_the_choices_are_listed(make_record, named):
    with pytest.raises(UsageError, match=r"--method.*mine \(.{8}\), other"):
        of_one_method(found(make_record("mine"), make_record("other")), named)


def test_two_specs_of_one_name_need_the_key(make_record):
    one, two = make_record(k=1), make_record(k=2)
    with pytest.raises(UsageError, match="the key behind it"):
        of_one_method(found(one, two), "knn")
    assert of_one_method(found(one, two), method_key(two)) == found(one, two)[1:]


def test_a_complete_row_has_no_faults(make_record):
    seen = review(board(), whole(make_record), ["a", "b"])
    assert (seen.faults, seen.warnings) == ([], [])


def test_what_is_missing_is_listed(make_record):
    (fault,) = review(board(), whole(make_record)[1:], ["a", "b", "c"]).faults
    assert fault == "3 of 6 units are missing: a seed 0, c seed 0, c seed 1"


def test_each_number_of_shots_that_is_begun_is_finished(make_record):
    few = whole(make_record, protocol={"shots": 1}) + whole(make_record, protocol={"shots": 4})[:1]
    (fault,) = review(board(shots=[1, 2, 4]), few, ["a", "b"]).faults
    assert fault.startswith("3 of 4 units of 4 shots are missing: a seed 1")


def test_failures_and_random_weights_are_faults(make_record):
    seen = review(board(seeds=[0]), found(make_record(status="timeout", category="a")), ["a"])
    assert seen.faults[0] == "runs/0: ended as timeout"
    assert (
        review(board(), whole(make_record, random_weights=True), ["a", "b"]).faults[0] == "runs/0: weights are random"
    )


def test_uncommitted_changes_and_leaks_are_warnings(make_record):
    members = whole(make_record)
    first = members[0].record
    first = first.model_copy(
        update={
            "provenance": first.provenance.model_copy(update={"dirty": True}),
            "task": first.task.model_copy(update={"duplicates": [f"a/test/good/{index}" for index in range(7)]}),
        }
    )
    seen = review(board(), [FoundRecord(first, "runs/0"), *members[1:]], ["a", "b"])
    assert seen.faults == []
    assert seen.warnings[0] == "made from a checkout with uncommitted changes: runs/0"
    assert seen.warnings[1].endswith("a/test/good/4 and 2 more")
