from __future__ import annotations

import pytest

from adbench import StorageError
from adbench.boards.records.keys import UnitKey
from adbench.boards.records.manifest import MANIFEST_FILE, Manifest, read_manifest
from adbench.boards.records.records_io import FoundRecord


def found(record, text=None):
    return FoundRecord(record, "here", text=text)


NOBODY = lambda record: None  # noqa: E731


def test_a_manifest_is_read_as_it_was_written(make_record, tmp_path):
    manifest = Manifest()
    records = [found(make_record(category=name, seed=seed)) for name in ("b", "a") for seed in (1, 0)]
    manifest.add(records, lambda record: ["x"] if record.task.category == "a" else None)
    manifest.add_lines("details", {records[0].record.id: "{}", "0" * 64: "{}"})
    (tmp_path / MANIFEST_FILE).write_text(manifest.to_text(), encoding="utf-8")
    read = read_manifest(tmp_path)
    assert read.to_text() == manifest.to_text()
    assert all(map(read.confirms, records))
    assert list(read.beside["details"]) == [records[0].record.id]
    assert read.images[0, UnitKey("a", 1)].duplicates == ("x",)
    assert read.images[0, UnitKey("b", 1)].duplicates is None


def test_an_edited_record_is_not_vouched_for(make_record):
    manifest = Manifest()
    own = found(make_record())
    manifest.add([own], NOBODY)
    assert manifest.confirms(own)
    assert manifest.confirms(found(make_record(), own.line))
    assert not manifest.confirms(found(make_record(), own.line.replace("cpu", "gpu")))
    assert not manifest.confirms(found(make_record(auroc=0.91)))
    assert not manifest.confirms(found(make_record("other")))


def test_a_board_without_one_took_records_that_had_raw_scores(make_record):
    record = make_record()
    assert Manifest().confirms(found(record))
    assert Manifest().confirms(found(make_record(status="failed")))
    assert not Manifest().confirms(found(record.model_copy(update={"predictions": None})))


def test_the_first_images_stay(make_record):
    manifest = Manifest()
    first = make_record(images="a")
    manifest.add([found(first)], NOBODY)
    manifest.add([found(make_record(f"m{k}", images="b", k=k)) for k in range(3)], NOBODY)
    assert manifest.images[0, UnitKey("bottle", 0)].samples_sha == first.task.samples_sha
    other = make_record(images="b")
    manifest.drop_changed([other])
    assert manifest.images[0, UnitKey("bottle", 0)].samples_sha == other.task.samples_sha


def test_a_failure_knows_no_images(make_record):
    manifest = Manifest()
    manifest.add([found(make_record(status="failed", images="x"))], NOBODY)
    assert manifest.images == {}


def test_what_is_no_manifest_is_one_sentence(tmp_path):
    assert not read_manifest(tmp_path).there
    (tmp_path / MANIFEST_FILE).write_text('{"schema": 1, "images": [{}], "records": {}}')
    with pytest.raises(StorageError, match=r"manifest\.json: Field required"):
        read_manifest(tmp_path)
