import errno
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import StorageError
from adbench.engine.store.record import (
    MAX_RECORD_BYTES,
    ResultRecord,
    bounded_sha,
    canonical_json,
    identity,
    parse_record,
    read_record,
    storage_errors,
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


words = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(words, children, max_size=3),
    max_leaves=10,
)
specs = st.dictionaries(words, json_values, max_size=4)
"""Values of every kind, nested. Larger ones take seconds to draw, and show nothing more."""


@pytest.mark.slow
@settings(max_examples=40)
@given(specs)
def test_canonical_json_has_one_spelling(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(dict(reversed(value.items()))) == text


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(math.nan)


@pytest.mark.slow
@settings(max_examples=40)
@given(specs)
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


@pytest.mark.slow
@settings(max_examples=40)
@given(specs, st.booleans(), st.booleans())
def test_a_recipe_that_is_known_gives_the_same_record(spec, same, canonical):
    recipe = {"name": "mine", "spec": spec, "parts": []}
    record = make_record(recipe=recipe)
    known = make_record(recipe=recipe if same else {**recipe, "name": "other"}).recipe
    text = canonical_json(record.to_json()) if canonical else json.dumps(record.to_json())
    read = parse_record(text, "here", known)
    assert read == record == parse_record(text, "here")
    assert (read.recipe is known) == (same and record.recipe.member in text)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("own", [None, {"name": "x", "spec": {}, "parts": []}])
def test_a_known_recipe_elsewhere_in_a_record_is_not_its_own(own, last):
    known, data = make_record().recipe, make_record().to_json()
    data["task"]["protocol"] = {"recipe": json.loads(canonical_json(known.model_dump()))}
    data["recipe"] = data.pop("recipe") and own  # behind the task
    ordered = data if last else dict(sorted(data.items()))
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    assert known.member in text
    if own is None:
        with pytest.raises(StorageError, match="recipe"):
            parse_record(text, "here", known)
    else:
        record = parse_record(text, "here", known)
        assert record.recipe.model_dump() == own
        assert record.task.protocol == {"recipe": known.model_dump()}


def test_a_known_recipe_hides_no_fault():
    record = make_record()
    for change in ({"extra": 1}, {"schema": 99}):
        text = canonical_json({**record.to_json(), **change})
        with pytest.raises(StorageError, match="extra|newer than 3"):
            parse_record(text, "here", record.recipe)


def test_fields_that_do_not_exist_are_refused():
    with pytest.raises(StorageError, match="extra"):
        parse_record(json.dumps({**make_record().to_json(), "extra": 1}), "here")


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EEXIST])
def test_only_a_full_disk_asks_for_space(tmp_path, number):
    with pytest.raises(StorageError, match="choose another folder") as caught, storage_errors(tmp_path):
        raise OSError(number, "no")
    assert ("free some space" in str(caught.value)) == (number == errno.ENOSPC)
