import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench import StorageError
from adbench.engine.store.record import (
    MAX_RECORD_BYTES,
    ResultRecord,
    bounded_sha,
    canonical_json,
    find_runs,
    identity,
    new_run,
    parse_record,
    read_record,
    write_record,
)


def make_record(**changes):
    data = {
        "schema": 3,
        "id": "0" * 64,
        "status": "ok",
        "recipe": {"name": "mine", "spec": {}, "parts": []},
        "task": {
            "dataset": "demo",
            "revision": "1",
            "category": "brick",
            "seed": 0,
            "protocol": {},
            "train": 1,
            "test": 1,
            "samples_sha": "",
        },
        "regime": {
            "train_images": 1,
            "test_set": False,
            "class_names": False,
            "anomalies": False,
            "tuned_per_category": False,
            "random_weights": False,
        },
        "metrics": {"image-auroc": {"value": 0.5, "version": 1}},
        "cost": None,
        "predictions": None,
        "provenance": {
            "adbench": "0",
            "git": None,
            "dirty": None,
            "python": "3",
            "torch": "2",
            "device": "cpu",
            "started": "now",
            "weights": [],
            "packages": {},
        },
    }
    return ResultRecord.model_validate({**data, **changes})


def test_a_record_round_trips(tmp_path):
    record = make_record()
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert json.loads((tmp_path / "record.json").read_text())["schema"] == 3


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), json_values))
def test_canonical_json_has_one_spelling(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(math.nan)


@pytest.mark.slow
@given(st.dictionaries(st.text(), json_values))
def test_a_spec_survives_the_file(spec):
    record = make_record(recipe={"name": "mine", "spec": spec, "parts": []})
    assert parse_record(json.dumps(record.to_json()), "here") == record


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not readable as JSON"),
        ("[]", "not a record"),
        ("{}", "not a record"),
        ('{"schema": 99}', "newer than 3; upgrade"),
        ("[" * 100_000, "not readable as JSON"),
        (" " * (MAX_RECORD_BYTES + 1), "larger than"),
    ],
)
def test_an_untrusted_text_is_one_sentence(text, words):
    with pytest.raises(StorageError, match=words):
        parse_record(text, "here")


def test_fields_that_do_not_exist_are_refused():
    with pytest.raises(StorageError, match="extra"):
        parse_record(json.dumps({**make_record().to_json(), "extra": 1}), "here")


def test_a_run_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path, "a") as draft:
        write_record(draft, make_record())
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with new_run(tmp_path, "a") as draft:
        write_record(draft, make_record())
        assert find_runs(tmp_path) == [], "a draft is not found"
    assert find_runs(tmp_path) == [tmp_path / "a"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]


def test_a_new_run_takes_the_place_of_an_old_one(tmp_path):
    for status in ("failed", "ok"):
        with new_run(tmp_path, "a") as draft:
            write_record(draft, make_record(status=status))
    assert read_record(tmp_path / "a").status == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--out"), new_run(tmp_path / "file", "a"):
        raise AssertionError


def test_a_record_that_cannot_be_written_leaves_the_old_one_whole(tmp_path, monkeypatch):
    def full(draft):
        assert draft.path.read_bytes()
        raise OSError(28, "No space left on device")

    write_record(tmp_path, make_record())
    with monkeypatch.context() as patch, pytest.raises(StorageError, match="No space left"):
        patch.setattr("adbench.api.atomic_file.TemporaryFile.publish", full)
        write_record(tmp_path, make_record(status="failed"))
    assert read_record(tmp_path).status == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def older(**task):
    """A record of schema 2, as JSON."""
    data = make_record().to_json()
    data["task"] |= {"samples_sha": "5" * 64, "train": 2, "test": 3, **task}
    shown = data["task"]
    data["id"] = identity("{}", shown["category"], shown["samples_sha"], shown["protocol"], shown["seed"])
    return {**data, "schema": 2}


def test_a_record_of_schema_2_gets_the_boundary_and_a_new_id():
    data = older()
    record = parse_record(json.dumps(data), "here")
    assert (record.schema_version, record.former_id) == (3, data["id"])
    assert record.task.samples_sha == bounded_sha("5" * 64, 2, 3)
    assert record.id == identity("{}", "brick", record.task.samples_sha, {}, 0) != data["id"]
    assert parse_record(json.dumps(older(train=3, test=2)), "here").id != record.id
    again = parse_record(json.dumps(record.to_json()), "here")
    assert (again, again.former_id) == (record, "")


def test_a_record_without_images_keeps_its_id():
    data = older(samples_sha="")
    record = parse_record(json.dumps(data), "here")
    assert (record.task.samples_sha, record.id) == ("", data["id"])


def test_an_edited_record_of_schema_2_stays_an_edited_one():
    data = {**older(), "id": "e" * 64}
    assert parse_record(json.dumps(data), "here").id == "e" * 64


def test_what_was_drawn_is_unknown_in_older_records_and_takes_no_room_there():
    assert parse_record(json.dumps(older()), "here").drew is None
    assert "drew" not in make_record().to_json()
    assert make_record(drew=False).to_json()["drew"] is False
