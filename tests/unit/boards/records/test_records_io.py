from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench import StorageError
from adbench.boards.records.records_io import FoundRecord, read_lines, read_run, refusal, to_line


def found(record, where="here"):
    return FoundRecord(record, where)


def test_a_run_is_read(make_run, make_record):
    folder = make_run()
    assert read_run(folder) == FoundRecord(make_record(), str(folder / "record.json"))


@pytest.mark.parametrize(
    ("edit", "message"),
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
def test_a_bad_record_is_a_sentence_that_names_it(make_run, edit, message):
    folder = make_run(edit=edit)
    sentence = read_run(folder)
    assert isinstance(sentence, str)
    assert str(folder) in sentence
    assert message in sentence


def test_one_bad_line_hides_no_other(tmp_path, make_record):
    file = tmp_path / "knn.jsonl"
    lines = [to_line(make_record()), "{", to_line(make_record(seed=1))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = list(read_lines(file))
    assert [line for line, _ in read] == lines
    assert [isinstance(what, FoundRecord) for _, what in read] == [True, False, True]
    assert f"{file}:2" in read[1][1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["metrics"]["image-auroc"].update(value=float("nan")), "figures from 0 to 1"),
        (lambda data: data["facts"].update(recall=float("inf")), "fact 'recall' is inf"),
        (lambda data: data["recipe"]["spec"].update(x=float("inf")), "not writable as JSON"),
        (lambda data: data.update(reason="\ud800"), "not writable as JSON"),
    ],
)
def test_a_line_that_no_file_can_hold_is_refused(tmp_path, make_record, edit, message):
    data = make_record().to_json()
    edit(data)
    (tmp_path / "knn.jsonl").write_text(json.dumps(data) + "\n", encoding="utf-8")
    ((_, sentence),) = read_lines(tmp_path / "knn.jsonl")
    assert message in sentence


def test_a_line_stays_as_it_stands(tmp_path, make_record):
    line = json.dumps({**make_record().to_json(), "reason": "caf\u00e9"}, sort_keys=False)
    (tmp_path / "knn.jsonl").write_text(line + "\n", encoding="utf-8")
    ((_, read),) = read_lines(tmp_path / "knn.jsonl")
    assert read.line == line


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "knn.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match="repair or remove it"):
        list(read_lines(tmp_path / "knn.jsonl"))


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8")))
def test_a_line_is_one_line(text):
    line = json.dumps({"x": text}, ensure_ascii=False)
    assert "\n" not in line
    assert json.loads(line) == {"x": text}


def with_interval(record, *interval):
    metrics = {name: info.model_copy(update={"interval": interval}) for name, info in record.metrics.items()}
    return record.model_copy(update={"metrics": metrics})


def test_an_interval_that_is_no_fraction_is_refused(make_record):
    assert refusal(found(with_interval(make_record(), 0.8, 0.95))) == ""
    assert "is 1.5; boards show figures from 0 to 1" in refusal(found(with_interval(make_record(), 0.8, 1.5)))
