from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench import StorageError
from adbench.boards.shelf import Found, merge, read_lines, read_run, refusal, to_line


def found(record, where="here"):
    return Found(record, where)


def test_a_run_is_read(make_run, make_record):
    folder = make_run()
    assert read_run(folder) == Found(make_record(), str(folder / "record.json"))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data.update(extra=1), "extra"),
        (lambda data: data.update(schema=99), "newer than 3"),
        (lambda data: data["metrics"]["image-auroc"].update(value=1.5), "figures from 0 to 1"),
        (lambda data: data["metrics"]["image-auroc"].update(value=float("nan")), "not writable as JSON"),
        (lambda data: data["cost"].update(fit_s=-1.0), "cost fit_s is -1.0"),
        (lambda data: data["cost"]["ms_per_image"].update(p50=1e300), "cost ms_per_image.p50"),
        (lambda data: data["recipe"].update(name="\ud800"), ""),
        (lambda data: data["recipe"]["spec"].update(x=float("inf")), "not writable as JSON"),
    ],
)
def test_a_bad_record_is_a_sentence_that_names_it(make_run, edit, said):
    folder = make_run(edit=edit)
    sentence = read_run(folder)
    assert isinstance(sentence, str)
    assert str(folder) in sentence
    assert said in sentence


def test_one_bad_line_hides_no_other(tmp_path, make_record):
    file = tmp_path / "knn.jsonl"
    lines = [to_line(make_record()), "{", to_line(make_record(seed=1))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = list(read_lines(file))
    assert [line for line, _ in read] == lines
    assert [isinstance(what, Found) for _, what in read] == [True, False, True]
    assert f"{file}:2" in read[1][1]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data["metrics"]["image-auroc"].update(value=float("nan")), "figures from 0 to 1"),
        (lambda data: data["facts"].update(recall=float("inf")), "fact 'recall' is inf"),
        (lambda data: data["recipe"]["spec"].update(x=float("inf")), "not writable as JSON"),
        (lambda data: data.update(reason="\ud800"), "not writable as JSON"),
    ],
)
def test_a_line_that_no_file_can_hold_is_refused(tmp_path, make_record, edit, said):
    data = make_record().to_json()
    edit(data)
    (tmp_path / "knn.jsonl").write_text(json.dumps(data) + "\n", encoding="utf-8")
    ((_, sentence),) = read_lines(tmp_path / "knn.jsonl")
    assert said in sentence


def test_a_line_stays_as_it_stands(tmp_path, make_record):
    line = json.dumps({**make_record().to_json(), "reason": "caf\u00e9"}, sort_keys=False)
    (tmp_path / "knn.jsonl").write_text(line + "\n", encoding="utf-8")
    ((_, read),) = read_lines(tmp_path / "knn.jsonl")
    assert read.line == line


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "knn.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match="repair or remove it"):
        list(read_lines(tmp_path / "knn.jsonl"))


@given(st.text(st.characters(codec="utf-8")))
def test_a_line_is_one_line(text):
    line = json.dumps({"x": text}, ensure_ascii=False)
    assert "\n" not in line
    assert json.loads(line) == {"x": text}


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


def test_an_interval_that_is_no_fraction_is_refused(make_record):
    assert refusal(found(with_interval(make_record(), 0.8, 0.95))) == ""
    assert "is 1.5; boards show figures from 0 to 1" in refusal(found(with_interval(make_record(), 0.8, 1.5)))
