"""Where a run's images lie is a default: bounded, checked, and never trusted for more."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from adbench import DataError, StorageError, UnknownName, UsageError
from adbench.builtin.demo import Demo
from adbench.builtin.folders.datasets import Folder, MVTecAD
from adbench.engine.plan.data_origin import (
    MAX_ORIGIN_BYTES,
    ORIGIN_FILE,
    Datasets,
    dataset_from,
    dataset_of,
    origin_of,
    read_origin,
    write_origin,
)
from adbench.registration.registry import installed


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run"
    made.mkdir()
    return made


@pytest.fixture
def record(make_record):
    return lambda dataset="parts": make_record(dataset=dataset)


def test_it_is_read_as_it_was_written(folder, parts, record, registry):
    write_origin(folder, Folder(root=parts))
    dataset = origin_of(folder, record(), registry)
    assert (dataset.root, list(dataset.categories())) == (parts, ["bolt", "nut"])


def test_a_dataset_of_a_name_is_found_with_its_options(folder, record, registry):
    write_origin(folder, Demo())
    assert origin_of(folder, record("demo"), registry).name == "demo"


def test_a_relative_root_and_a_home_become_absolute(folder, parts, monkeypatch):
    monkeypatch.chdir(parts.parent)
    write_origin(folder, Folder(root="parts"))
    assert read_origin(folder).options["root"] == str(parts)
    monkeypatch.setenv("HOME", str(parts.parent))
    write_origin(folder, Folder(root="~/parts"))
    assert read_origin(folder).options["root"] == str(parts)


def test_a_name_that_is_no_utf8_is_kept(folder, tmp_path, parts, record, registry):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/p\xe4rts")
    try:
        shutil.copytree(parts, odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    write_origin(folder, Folder(root=odd, called="parts"))
    assert list(origin_of(folder, record(), registry).categories()) == ["bolt", "nut"]


def test_a_moved_folder_is_one_sentence(folder, parts, record, registry, tmp_path):
    write_origin(folder, Folder(root=parts))
    parts.rename(tmp_path / "moved")
    with pytest.raises(StorageError, match=r"^its images were in .*parts, but are not there any more; give its place"):
        origin_of(folder, record(), registry)


def test_what_names_another_dataset_is_not_taken(folder, parts, record, registry):
    write_origin(folder, Folder(root=parts))
    with pytest.raises(StorageError, match="is not 'magnets'; give its place with --data PATH"):
        origin_of(folder, record("magnets"), registry)


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"schema": 2, "dataset": "folder", "options": {}}',
        '{"schema": 1, "dataset": "folder", "options": {}, "more": 1}',
        '{"schema": 1, "dataset": ["folder"], "options": {}}',
        '{"schema": 1, "dataset": "folder", "options": []}',
        json.dumps({"schema": 1, "dataset": "f" * 101, "options": {}}),
        json.dumps({"schema": 1, "dataset": "folder", "options": dict.fromkeys(map(str, range(51)))}),
        f'{{"schema": 1, "dataset": "folder", "options": {{"root": {DEEP}}}}}',
        '{"schema": 1, "dataset": "folder", "options": {"root": "' + "x" * MAX_ORIGIN_BYTES + '"}}',
        "\x00\xff",
    ],
    ids=range(13),
)
def test_what_is_no_such_file_says_nothing(folder, text, record, registry):
    (folder / ORIGIN_FILE).write_bytes(text.encode("latin-1"))
    assert read_origin(folder) is None
    with pytest.raises(StorageError, match="its dataset is the folder 'parts'; give its place with --data PATH"):
        origin_of(folder, record(), registry)


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin",
    [
        {"dataset": "no-such", "options": {}},
        {"dataset": "folder", "options": {}},
        {"dataset": "folder", "options": {"root": 5}},
        {"dataset": "folder", "options": {"root": "a\x00b"}},
        {"dataset": "folder", "options": {"root": "x" * 5000}},
        {"dataset": "folder", "options": {"root": "/", "colour": "red"}},
        {"dataset": "folder", "options": {"root": "/nowhere/\x1b[2J"}},
        {"dataset": "demo", "options": {}},
    ],
    ids=range(8),
)
def test_what_cannot_be_used_is_one_sentence(folder, origin, record, registry):
    (folder / ORIGIN_FILE).write_text(json.dumps({"schema": 1, **origin}))
    with pytest.raises(StorageError, match="give its place with --data PATH"):
        origin_of(folder, record(), registry)


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "link"]
)
def test_what_is_no_file_is_not_opened(folder, make):
    make(folder / ORIGIN_FILE)
    assert read_origin(folder) is None


def test_data_is_a_name_or_a_folder(registry, parts):
    assert dataset_from(registry, "demo").name == "demo"
    assert dataset_from(registry, str(parts)).board_name == "parts"
    assert dataset_from(registry, f"folder:root={parts},called=mine").board_name == "mine"
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        dataset_from(registry, "dmo")


def test_root_is_the_folder_of_a_named_dataset(registry, parts):
    assert dataset_from(registry, "mvtec-ad", str(parts)).config.root == parts
    with pytest.raises(UsageError, match="--root"):
        dataset_from(registry, str(parts), "elsewhere")
    with pytest.raises(UnknownName, match="dataset 'demo'"):
        dataset_from(registry, "demo", "elsewhere")


@pytest.fixture
def run(tmp_path, parts):
    folder = tmp_path / "run"
    folder.mkdir()
    write_origin(folder, Folder(root=parts))
    return folder


def test_what_is_reported_goes_first(run, make_record):
    assert dataset_of(installed(), make_record(dataset="parts"), "demo", run).name == "demo"
    with pytest.raises(UnknownName, match="'nowhere'"):
        dataset_of(installed(), make_record(dataset="parts"), "nowhere", run)


def test_then_what_the_run_knows(run, parts, make_record):
    assert dataset_of(installed(), make_record(dataset="parts"), None, run).root == parts


def test_then_the_name_in_the_record(tmp_path, make_record):
    assert dataset_of(installed(), make_record(dataset="demo"), None, tmp_path).name == "demo"
    assert dataset_of(installed(), make_record(dataset="demo"), None).name == "demo"


def test_a_record_alone_knows_no_folder_whatever_lies_here(run, make_record, monkeypatch):
    monkeypatch.chdir(run)
    with pytest.raises(StorageError, match="^its dataset is the folder 'parts'; give its place"):
        dataset_of(installed(), make_record(dataset="parts"), None)


def test_runs_of_one_place_share_a_dataset(run, parts, tmp_path, make_record):
    other = tmp_path / "other"
    other.mkdir()
    write_origin(other, Folder(root=parts))
    datasets, record = Datasets(installed(), None), make_record(dataset="parts")
    assert datasets.of(run, record) is datasets.of(other, record)
    write_origin(other, Folder(root=parts / "bolt", called="parts"))
    assert datasets.of(run, record) is not datasets.of(other, record)


def test_a_named_dataset_that_is_not_where_it_usually_is_is_found_where_the_run_found_it(
    tmp_path, parts, make_record, monkeypatch
):
    monkeypatch.delenv("ADBENCH_DATA", raising=False)
    monkeypatch.setattr(MVTecAD, "_home", lambda self: tmp_path / "home")
    shutil.copytree(parts / "bolt", tmp_path / "elsewhere" / "bottle")
    record = make_record(dataset="mvtec-ad")
    with pytest.raises(DataError, match="is not there"):
        dataset_of(installed(), record, None, tmp_path)
    write_origin(tmp_path, MVTecAD(root=tmp_path / "elsewhere"))
    assert dataset_of(installed(), record, None, tmp_path).root == tmp_path / "elsewhere"
    shutil.copytree(parts / "bolt", tmp_path / "home" / "bottle")
    assert dataset_of(installed(), record, None, tmp_path).root == tmp_path / "home", "what is here goes first"
