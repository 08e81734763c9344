"""Each image comes once, with every method's scores and maps, and FiftyOne shows them as they were written."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from adbench_fiftyone.dataset import DEFECT, TRUTH, make_dataset, require_name
from adbench_fiftyone.judged import _Fields, _slug, judged_images
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from adbench import UsageError
from adbench.cli import call
from adbench.records import ScoredRun, read_runs, scored_runs

FEW = [
    "--data",
    "demo",
    "--limit-train",
    "4",
    "--limit-test",
    "2",
    "--no-figures",
    "--device",
    "cpu",
    "--cache",
    "none",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods of one name on two categories of the demo."""
    out = tmp_path_factory.mktemp("work") / "runs"
    for scorer in ("toy-nearest:k=1", "toy-nearest:k=3"):
        two = ["--category", "brick", "--category", "grass", "--out", str(out)]
        assert call(["run", "--backbone", "toy-pixels", "--scorer", scorer, *FEW, *two]) == 0
    return out


@pytest.fixture
def judged(runs, tmp_path):
    return judged_images(scored_runs(read_runs(runs)), tmp_path / "files")


def test_an_image_comes_once_with_every_methods_scores(runs, judged):
    images, methods = judged
    assert len(images) == 24
    by_id = {image.id: image for image in images}
    for run in scored_runs(read_runs(runs)):
        for image in run.images():
            found = by_id[image.id]
            assert list(found.judgements) == list(methods)
            assert image.score in [judgement.score for judgement in found.judgements.values()]
            assert found.defect == image.defect
            assert (found.mask is not None) == image.mask.any()


def test_files_are_the_photograph_the_mask_and_the_map(runs, judged):
    images, methods = judged
    by_id = {image.id: image for image in images}
    (first, *_) = scored_runs(read_runs(runs))
    name = next(iter(methods))
    for image in first.images():
        found = by_id[image.id]
        np.testing.assert_array_equal(np.asarray(Image.open(found.file)), first.pixels(image.id))
        levels = np.asarray(Image.open(found.judgements[name].map))
        np.testing.assert_array_equal(levels, first.gray(image.map))
        low, high = found.judgements[name].limits
        np.testing.assert_allclose(low + levels / 255 * (high - low), image.map, atol=0.51 / 255 * (high - low))
        if found.mask is not None:
            np.testing.assert_array_equal(np.asarray(Image.open(found.mask)) == 255, image.mask)


def test_a_method_has_its_figures_of_all_categories(runs, judged):
    _, methods = judged
    expected = {}
    for run in read_runs(runs):
        figures = expected.setdefault(run.record.recipe.name, {})
        figures[f"demo/{run.record.task.category}"] = {name: info.value for name, info in run.record.metrics.items()}
    assert {about["method"]: about["figures"] for about in methods.values()} == expected
    assert sorted(methods) == ["toy_pixels_toy_nearest_k_1", "toy_pixels_toy_nearest_k_3"]


def test_methods_of_one_name_have_numbers(runs):
    (run, *_) = scored_runs(read_runs(runs))
    fields = _Fields()
    record = run.record
    other = [
        record.model_copy(update={"task": record.task.model_copy(update={"seed": 1})}),
        record.model_copy(update={"recipe": record.recipe.model_copy(update={"name": "7 Ways"})}),
    ]
    names = [fields.name_of(replace(run, run=replace(run.run, record=one))) for one in (record, *other, record)]
    assert names == [names[0], f"{names[0]}_2", "m_7_ways", names[0]]


def test_an_alarm_is_a_score_above_the_threshold(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(ScoredRun, "threshold", 0.25)
    images, _ = judged_images(scored_runs(read_runs(runs)), tmp_path)
    judgements = [judgement for image in images for judgement in image.judgements.values()]
    assert [one.alarm for one in judgements] == [one.score > 0.25 for one in judgements]


@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=6), max_size=6))
@example({"a/5f/", "a_", "a-", "a/", "..", "/"})
def test_two_images_never_share_a_file(ids):
    assert len({_slug(name) for name in ids}) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]*", _slug(name)) for name in ids)


def test_without_fiftyone_the_command_says_what_to_install(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    assert call(["fiftyone", str(runs), "--out", str(tmp_path / "files")]) == 2
    assert "pip install 'adbench-fiftyone[fiftyone]'" in capsys.readouterr().err
    assert not (tmp_path / "files").exists(), "nothing is computed before"


@pytest.mark.filterwarnings("ignore::Warning")  # FiftyOne's own
def test_a_database_that_does_not_start_is_one_sentence(runs, tmp_path, monkeypatch, capsys):
    def broken():
        raise RuntimeError("MongoDB could not be installed\nTraceback")

    monkeypatch.setitem(sys.modules, "fiftyone", SimpleNamespace(list_datasets=broken))
    assert call(["fiftyone", str(runs), "--out", str(tmp_path / "files")]) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "FiftyOne does not start: MongoDB could not be installed; FIFTYONE_DATABASE_URI names another" in message


def started():
    """FiftyOne with its database, or a skip."""
    fiftyone = pytest.importorskip("fiftyone", reason="pip install 'adbench-fiftyone[fiftyone]'")
    try:
        fiftyone.list_datasets()
    except Exception as error:  # noqa: BLE001  its database fails in many ways
        pytest.skip(f"FiftyOne does not start: {error}")
    return fiftyone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # FiftyOne's own
def test_fiftyone_shows_what_was_written(runs, judged, tmp_path, capsys):
    fiftyone = started()
    images, methods = judged
    name = f"adbench-test-{tmp_path.name}"
    try:
        assert call(["fiftyone", str(runs), "--name", name, "--out", str(tmp_path / "shown")]) == 0
        with pytest.raises(UsageError, match="give another --name, or --overwrite"):
            require_name(name, overwrite=False)
        found = fiftyone.load_dataset(name)
        assert found.persistent
        assert len(found) == len(images)
        assert found.info["adbench"] == methods
        field = next(iter(methods))
        for sample, image in zip(found, images, strict=True):
            assert sample[TRUTH].label == image.defect
            assert sample[f"{field}_score"] == image.judgements[field].score
            np.testing.assert_array_equal(
                sample[f"{field}_map"].get_map(), np.asarray(Image.open(image.judgements[field].map))
            )
            limits = (sample[f"{field}_map_low"], sample[f"{field}_map_high"])
            assert limits == image.judgements[field].limits
            assert (sample[DEFECT] is not None) == (image.mask is not None)
        make_dataset(name, images[:1], methods)
        assert len(fiftyone.load_dataset(name)) == 1, "one of the same name is replaced"
    finally:
        if name in fiftyone.list_datasets():
            fiftyone.delete_dataset(name)
