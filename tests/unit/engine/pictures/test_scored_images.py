"""Runs give their images with the scores, maps and truth that their figures were computed from."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from adbench import DataError, StorageError, run
from adbench.engine.evaluate.details import read_details, write_details
from adbench.engine.plan.protocol import Protocol
from adbench.engine.store.predictions import read_predictions
from adbench.metrics import auroc
from adbench.records import read_runs, scored_runs

TOY = {"backbone": "toy-pixels", "scorer": "toy-nearest", "device": "cpu", "cache": None, "figures": False}


@pytest.fixture
def runs(parts, tmp_path):
    """The folder of one run on bolts, whose metrics were computed on a grid."""
    run(**TOY, data=parts, category="bolt", out=tmp_path / "runs", protocol=Protocol(evaluation="32"))
    return tmp_path / "runs"


@pytest.fixture
def scored(runs):
    (found,) = scored_runs(read_runs(runs))
    return found


def test_images_have_the_scores_that_the_figures_are_of(scored):
    images = list(scored.images())
    predictions = read_predictions(scored.run.folder, scored.record.predictions)
    assert [image.id for image in images] == list(predictions.ids)
    assert [image.score for image in images] == predictions.scores.tolist()
    figure = auroc(np.array([image.defect != "good" for image in images]), np.array([image.score for image in images]))
    assert figure == pytest.approx(scored.record.metrics["image-auroc"].value)


def test_maps_and_masks_have_the_pixels_of_the_photograph_whatever_the_grid(scored, parts):
    for image in scored.images():
        with Image.open(image.file) as photograph:
            shape = (photograph.height, photograph.width)
        assert image.map.shape == image.mask.shape == shape
        assert image.mask.any() == (image.defect != "good")
        assert scored.pixels(image.id).shape == (*shape, 3)


def test_gray_levels_can_be_turned_back_into_scores(scored):
    low, high = scored.limits
    levels = [(image.map, scored.gray(image.map)) for image in scored.images()]
    for values, gray in levels:
        np.testing.assert_allclose(low + gray * (high - low) / 255, values, atol=(high - low) / 500)
    assert min(gray.min() for _, gray in levels) == 0
    assert max(gray.max() for _, gray in levels) == 255


def test_the_threshold_is_that_of_the_run(scored):
    assert scored.threshold is None, "there are too few normal images for one"
    folder = scored.run.folder
    details = read_details(folder)
    write_details(folder, details.model_copy(update={"threshold": details.threshold.model_copy(update={"value": 0.5})}))
    (again,) = scored_runs([scored.run])
    assert again.threshold == 0.5
    (folder / "details.json").unlink()
    (again,) = scored_runs([scored.run])
    assert again.threshold is None


def test_a_place_without_runs_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="holds no run; give a folder that 'adbench run' wrote"):
        read_runs(tmp_path)


def test_images_that_are_gone_are_an_error_and_may_be_elsewhere(runs, parts, tmp_path):
    shutil.move(parts, tmp_path / "moved")
    with pytest.raises(StorageError, match="give its place with --data PATH"):
        list(scored_runs(read_runs(runs)))
    shutil.move(tmp_path / "moved", tmp_path / "elsewhere" / "parts")
    (found,) = scored_runs(read_runs(runs), str(tmp_path / "elsewhere" / "parts"))
    assert len(found) == found.record.task.test
    (tmp_path / "elsewhere" / "parts" / "bolt" / "test" / "good" / "000.png").unlink()
    with pytest.raises(DataError, match="not those of the run"):
        list(scored_runs(read_runs(runs), str(tmp_path / "elsewhere" / "parts")))


def test_a_run_that_failed_has_no_scores(runs):
    folder = next(runs.iterdir())
    text = (folder / "record.json").read_text()
    start = text.index(' "predictions": {')
    end = text.index("}", start) + 1
    (folder / "record.json").write_text(
        text[:start] + ' "predictions": null' + text[end:].replace('"status": "ok"', '"status": "failed"')
    )
    assert [found.record.status for found in read_runs(runs)] == ["failed"]
    assert list(scored_runs(read_runs(runs))) == []
