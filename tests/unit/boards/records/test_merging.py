from __future__ import annotations

import random
from dataclasses import replace

import pytest

from adbench import StorageError
from adbench.boards.records.keys import UnitKey
from adbench.boards.records.merging import Merge, MergeNotes
from adbench.boards.records.records_io import FoundRecord


def found(record, where="here", **status):
    return FoundRecord(record, where, **status)


def merge(each, news=None, **options):
    notes = MergeNotes()
    merged = Merge(notes=notes, **options).merge(each)
    if news is not None:
        news += [*notes.news, *notes.refused]
    return merged


def test_identical_records_merge(make_record):
    news: list[str] = []
    assert merge([found(make_record(), "a"), found(make_record(), "b")], news) == [found(make_record(), "a")]
    assert news == []


def test_shots_are_kept_apart(make_record):
    news: list[str] = []
    one, four = (make_record(protocol={"shots": shots}) for shots in (1, 4))
    assert merge([found(four), found(one)], news) == [found(one), found(four)]
    assert news == []


def test_same_identity_with_other_metrics_is_an_alarm(make_record):
    pair = [found(make_record(auroc=0.9), "one.json"), found(make_record(auroc=0.90001), "two.json")]
    with pytest.raises(StorageError) as error:
        merge(pair, [])
    assert "one.json" in str(error.value)
    assert "two.json" in str(error.value)
    assert "image-auroc is 0.9" in str(error.value)


def test_rounding_is_no_alarm(make_record):
    pair = [found(make_record(auroc=0.9), "one.json"), found(make_record(auroc=0.9 + 4e-9), "two.json")]
    assert len(merge(pair, [])) == 1


def test_a_newer_version_of_a_metric_is_no_alarm(make_record):
    old, new = make_record(auroc=0.9), make_record(auroc=0.8)
    new = new.model_copy(
        update={"metrics": {name: info.model_copy(update={"version": 2}) for name, info in new.metrics.items()}}
    )
    for pair in ([found(old), found(new)], [found(new), found(old)]):
        assert merge(pair, []) == [found(new)]


def test_a_success_takes_the_place_of_a_failure(make_record):
    failure, success = found(make_record(status="failed", started="2027")), found(make_record())
    assert merge([failure, success], []) == [success]


def test_the_later_of_two_identities_stays_and_it_is_said(make_record):
    old, new = found(make_record(images="a"), "old"), found(make_record(images="b", started="2027"), "new")
    news: list[str] = []
    assert merge([new, old], news) == [new]
    assert news == ["old: left out, a later run of the same method, category and seed is new"]


def test_order_does_not_matter(make_record):
    all_ = [found(make_record(name, seed=seed, k=k)) for name in "ab" for seed in (0, 1) for k in (1, 2)] * 2
    shuffled = random.Random(0).sample(all_, len(all_))
    assert merge(all_, []) == merge(shuffled, [])


def with_interval(record, *interval):
    metrics = {name: info.model_copy(update={"interval": interval}) for name, info in record.metrics.items()}
    return record.model_copy(update={"metrics": metrics})


def test_of_equal_records_the_one_with_intervals_stays(make_record):
    bare = make_record(started="2027")
    known = with_interval(make_record(), 0.8, 0.95)
    for pair in ([found(bare), found(known)], [found(known), found(bare)]):
        assert merge(pair, []) == [found(known)]


def test_what_stands_on_a_board_stays(make_record):
    old = found(make_record(images="a"), "old", stands=True)
    new = found(make_record(images="b", started="9999"), "new")
    notes: list[str] = []
    assert merge([new, old], notes) == [old]
    assert notes[0].startswith("new: left out: a record of the same method, category and seed is on the board, old")
    assert "--replace" in notes[0]


def test_unless_it_is_meant_to_be_replaced(make_record):
    old = found(make_record(images="a"), "old", stands=True)
    new = found(make_record(images="b", started="2020"), "new")
    notes: list[str] = []
    assert merge([old, new], notes, replacing=True) == [new]
    assert notes == ["old: replaced by new, a run of the same method, category and seed"]


def test_a_repeated_run_replaces_its_figures_only_on_purpose(make_record):
    old = found(make_record(auroc=0.9), "old", stands=True)
    new = found(make_record(auroc=0.8), "new")
    with pytest.raises(StorageError, match="different results"):
        merge([old, new])
    notes: list[str] = []
    assert merge([old, new], notes, replacing=True) == [new]
    assert notes == ["new: replaces the same run with another image-auroc"]


def test_a_success_on_other_images_takes_the_place_of_a_failure_on_a_board(make_record):
    failure = found(make_record(status="failed", images=""), "old", stands=True)
    success = found(make_record(), "new")
    assert merge([failure, success]) == [success]
    assert merge([replace(failure, stands=False), replace(success, stands=True)]) == [success]


@pytest.mark.parametrize("stands", [True, False])
def test_what_is_unverified_takes_no_place(make_record, stands):
    mine = found(make_record(), "mine", stands=stands)
    same = found(make_record(auroc=0.1), "same", measured=False)
    other = found(make_record(images="b", started="9999"), "other", measured=False)
    notes: list[str] = []
    merged = merge([same, other, mine], notes)
    assert [each.where for each in merged] == ["other", "mine"]
    assert notes == [
        "same: left out: mine is the same run, and has another image-auroc; nobody has seen raw scores of this one"
    ]


def test_of_two_that_are_unverified_the_one_on_the_board_stays(make_record):
    old = found(make_record(auroc=0.1), "old", stands=True, measured=False)
    new = found(make_record(auroc=0.9, started="9999"), "new", measured=False)
    assert merge([new, old]) == [old]


def test_of_two_on_the_board_the_one_on_its_images_counts(make_record):
    right = found(make_record(images="a"), "right", stands=True)
    wrong = found(make_record(images="b", started="9999"), "wrong", stands=True)
    notes: list[str] = []
    images = {(0, UnitKey("bottle", 0)): right.record.task.samples_sha}
    assert merge([wrong, right], notes, images=images) == [right]
    assert notes == ["wrong: does not count: right is of the same method, category and seed; remove one of them"]


def test_a_version_that_is_not_installed_makes_no_record_fuller(make_record):
    old, new = make_record(), make_record(auroc=0.1)
    later = {name: info.model_copy(update={"version": 999}) for name, info in new.metrics.items()}
    new = new.model_copy(update={"metrics": later})
    versions = {"image-auroc": 1, "pixel-auroc": 1}
    for pair in ([found(old), found(new)], [found(new), found(old)]):
        assert merge(pair, versions=versions) == [found(old)]
