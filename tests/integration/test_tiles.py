"""Tiles through the command line: runs, the cache, other processes, sweeps and detectors, on images of odd sizes."""

import json

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.detector.detector import Detector
from adbench.engine.store.predictions import read_predictions
from adbench.engine.store.record import find_runs, read_record

TILES = ("--preprocess", "tile:size=32,overlap=16,multiple=8")
METHOD = ("--backbone", "toy-pixels")
QUICK = ("--device", "cpu", "--no-figures")
SIDES = 83, 101


def write_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def noise(seed):
    return np.random.default_rng(seed).integers(90, 110, (*SIDES, 3), dtype=np.uint8)


@pytest.fixture
def plates(tmp_path):
    """Images whose sides no tile divides; a defect is a bright square, one of them across seams."""
    root = tmp_path / "plates"
    for index in range(24):
        write_image(root / "plate" / "train" / "good" / f"{index:03}.png", noise(index))
    for index in range(3):
        write_image(root / "plate" / "test" / "good" / f"{index:03}.png", noise(100 + index))
    for index, (top, left) in enumerate([(4, 4), (18, 26), (70, 88)]):
        image, mask = noise(200 + index), np.zeros(SIDES, np.uint8)
        image[top : top + 12, left : left + 12] = 230
        mask[top : top + 12, left : left + 12] = 255
        write_image(root / "plate" / "test" / "spot" / f"{index:03}.png", image)
        write_image(root / "plate" / "ground_truth" / "spot" / f"{index:03}_mask.png", mask)
    return root


def run(plates, out, *words, scorer="toy-nearest", code=0):
    base = ["run", *METHOD, "--scorer", scorer, "--data", str(plates), "--out", str(out), *QUICK]
    assert call([*base, *words]) == code
    return [(folder, read_record(folder)) for folder in find_runs(out)]


def predictions(found):
    ((folder, record),) = found
    return read_predictions(folder, record.predictions)


@pytest.mark.slow
def test_a_run_with_tiles_finds_defects_in_the_middle_at_seams_and_at_the_border(plates, tmp_path):
    found = run(plates, tmp_path / "runs", *TILES)
    ((_, record),) = found
    assert record.metrics["image-auroc"].value == 1
    assert record.metrics["pixel-auroc"].value > 0.98
    said = predictions(found)
    assert {geometry.size for geometry in said.geometry} == {(88, 104)}
    assert {patches.shape for patches in said.patches} == {(11, 13)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scorer", "bank"),
    [
        ("toy-aligned-nearest", "toy-aligned"),
        ("toy-mahalanobis", "toy-gaussian"),
        ("toy-energy", "toy-energy"),
        ("toy-residual", "toy-reconstruction"),
    ],
)
def test_every_kind_of_bank_works_on_the_grid_of_all_tiles(plates, tmp_path, scorer, bank):
    found = run(plates, tmp_path / "runs", *TILES, "--bank", bank, scorer=scorer)
    assert {patches.shape for patches in predictions(found).patches} == {(11, 13)}
    assert found[0][1].metrics["pixel-auroc"].value > 0.9


@pytest.mark.slow
def test_cached_features_and_other_processes_change_nothing(plates, tmp_path):
    cache = ("--cache", str(tmp_path / "kept"))
    first, again, apart = (
        run(plates, tmp_path / name, *TILES, *words)
        for name, words in (("one", cache), ("two", cache), ("three", ("--executor", "process")))
    )
    assert again[0][1].cost.recalled > 0
    assert first[0][1].predictions.sha256 == again[0][1].predictions.sha256 == apart[0][1].predictions.sha256


@pytest.mark.slow
def test_sweeps_shots_and_aggregators_of_maps_know_tiles(plates, tmp_path, capsys):
    out = tmp_path / "runs"
    run(plates, out, *TILES, "--shots", "4", "--aggregate", "map-top-fraction")
    capsys.readouterr()
    assert call(["sweep", str(out), "--oracle", "--aggregate", "mean,max", "--sigma", "0,4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["image-auroc"]["own"] == 1


def test_what_cannot_be_is_refused_before_anything_runs(plates, tmp_path, capsys):
    out = tmp_path / "none"
    words = ("--preprocess", "tile:size=32,overlap=16,multiple=8", "--preprocess", "resize")
    run(plates, out, *words, code=2)
    assert "put preprocessor 'resize' before it" in capsys.readouterr().err
    run(plates, out, "--preprocess", "tile:size=100", code=2)
    assert "multiples of the option 'multiple'" in capsys.readouterr().err
    assert not out.exists()


def test_tiles_that_miss_the_patches_are_a_failed_unit_with_the_remedy(plates, tmp_path):
    ((_, record),) = run(plates, tmp_path / "runs", "--preprocess", "tile:size=28,overlap=14,multiple=14", code=1)
    assert "backbone 'toy-pixels' gives 3x3 patches for a tile of 28x28 pixels" in record.reason


@pytest.mark.slow
def test_a_detector_with_tiles_is_saved_and_scores_as_the_run(plates, tmp_path):
    good, out = plates / "plate" / "train" / "good", tmp_path / "plate.adbench"
    quick = ("--cache", "none", "--runtime", "torch", "--device", "cpu")
    words = ["fit", *METHOD, "--scorer", "toy-nearest", *TILES, "--normal", str(good), "--out", str(out), *quick]
    assert call(words) == 0
    scores = {p.name[-12:]: p for p in Detector.load(out, cache=None, device="cpu").predict(plates / "plate" / "test")}
    spot = scores["spot/001.png"]
    assert spot.is_anomalous
    assert spot.map.shape == SIDES
    top, left = np.unravel_index(spot.map.argmax(), SIDES)
    assert 18 <= top < 30
    assert 26 <= left < 38
    ran = predictions(run(plates, tmp_path / "runs", *TILES))
    assert spot.score == pytest.approx(float(ran.scores[ran.ids.index("plate/test/spot/001")]), rel=1e-6)
