"""Which dataset a record was made on, by what is said, what the run knows, and what the record says."""

from __future__ import annotations

import shutil

import pytest

from adbench import DataError, StorageError, UnknownName
from adbench.builtin.folders.datasets import Folder, MVTecAD
from adbench.cli.run_data import Datasets, dataset_of
from adbench.engine.plan.data_origin import write_origin
from adbench.registration.registry import installed


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
