"""RAD's and MuSc's parts from images to a record, and the sentences where they cannot run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call

MUTUAL = ("--bank", "test-set", "--scorer", "mutual")
COLOURS = (0, 255)


@pytest.fixture
def images(tmp_path):
    """Noise around gray, 64 x 64; of five test images one has a black spot, and one a white spot.

    Were they of one colour, each would find its like in the other image, and be normal.
    """
    root, rng = tmp_path / "data" / "plate", np.random.default_rng(0)
    for folder, count in (("train/good", 4), ("test/good", 3), ("test/spot", 2), ("ground_truth/spot", 2)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            truth = folder.startswith("ground_truth")
            pixels = rng.integers(90, 110, (64, 64, 3), dtype=np.uint8) * (not truth)
            if folder.endswith("spot"):
                pixels[16:32, 8 + 16 * number : 24 + 16 * number] = 255 if truth else COLOURS[number]
            Image.fromarray(pixels).save(root / folder / f"{number:03}{'_mask' * truth}.png")
    return root.parent


@pytest.fixture
def run(tmp_path, images, capsys):
    """The records of a method on these images, and what was told."""

    def run(*words, data=images):
        where = ["--data", str(data), "--out", str(tmp_path / "runs"), "--cache", "none", "--no-figures", "--json"]
        call(["run", *words, *where, "--device", "cpu"])
        out, err = capsys.readouterr()
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")], " ".join(err.split())

    return run


def test_the_same_place_finds_a_spot(run):
    (record,), _ = run("--backbone", "toy-pixels", "--scorer", "aligned-knn")
    assert record["status"] == "ok"
    assert record["regime"] | {"test_set": False, "train_images": 4} == record["regime"]
    assert record["metrics"]["image-auroc"]["value"] == 1
    assert record["metrics"]["pixel-auroc"]["value"] > 0.95


def test_the_test_set_finds_a_spot_and_the_record_says_that_it_was_looked_at(run):
    (record,), _ = run("--backbone", "toy-pixels", *MUTUAL, "--allow", "test")
    assert record["status"] == "ok"
    assert record["regime"] | {"test_set": True, "train_images": 0} == record["regime"]
    assert record["metrics"]["image-auroc"]["value"] == 1
    assert record["metrics"]["pixel-auroc"]["value"] > 0.95


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (MUTUAL, "bank 'test-set' learns from test images, which the protocol does not allow"),
        (
            ("--bank", "aligned", "--scorer", "mutual"),
            "scorer 'mutual' reads a VectorBank; bank 'aligned' is an AlignedBank",
        ),
        (
            ("--bank", "aligned:reads=layers", "--scorer", "aligned-knn"),
            "bank 'aligned' needs 'layers', which backbone",
        ),
        (
            ("--scorer", "aligned-knn:images=2"),
            "scorer 'aligned-knn' needs 'image', which backbone 'toy-pixels' does not",
        ),
        ((*MUTUAL, "--allow", "test", "--aggregate", "rscin"), "aggregator 'rscin' needs 'image', which backbone"),
    ],
)
def test_why_it_cannot_run(run, words, reason):
    records, reported = run("--backbone", "toy-pixels", *words)
    assert not records
    assert reason in reported


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["rad", "musc"])
def test_a_recipe_runs_on_a_network_whose_layers_differ_in_size(run, recipe):
    pytest.importorskip("adbench_timm", reason="adbench-timm is not installed")
    swap = ("--backbone", "efficientnet-lite0", "--preprocess", "resize:size=64+64", "--allow", "test")
    (record,), _ = run("--recipe", recipe, *swap)
    assert record["status"] == "ok", record["reason"]
    assert record["metrics"]["image-auroc"]["value"] == 1
