from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import numpy as np
import pytest

from adbench import DataError, Sample, UnknownName
from adbench.builtin import demo as demo_module
from adbench.builtin.demo import Demo
from adbench.builtin.planting import DEFECTS, Dice, plant

CATEGORIES = ["brick", "grass", "gravel"]


def test_categories_and_counts():
    assert Demo().categories() == CATEGORIES
    for category in CATEGORIES:
        split = Demo().split(category)
        assert (len(split.train), len(split.test)) == (24, 32)
        assert {sample.defect for sample in split.test} == {"good", *DEFECTS}
        assert [sample.id for sample in split.test] == sorted({sample.id for sample in split.test})
    with pytest.raises(UnknownName, match="did you mean 'gravel'"):
        Demo().split("gravle")


@pytest.mark.parametrize("category", CATEGORIES)
def test_train_and_test_never_overlap(category, monkeypatch):
    """With a photograph that says of each pixel in which half it lies, no tile shows both halves."""
    halves = np.zeros((512, 512), np.uint8)
    halves[:, 256:] = 255
    monkeypatch.setattr(demo_module, "_photograph", lambda name: halves)
    demo_module._tile.cache_clear()
    split = Demo().split(category)
    assert {int(Demo().image(sample).max()) for sample in split.train} == {0}
    assert {int(Demo().image(sample).min()) for sample in split.test if not sample.anomalous} == {255}
    demo_module._tile.cache_clear()


@pytest.mark.parametrize("category", CATEGORIES)
def test_tiles_differ(category):
    split, demo = Demo().split(category), Demo()
    samples = split.train + split.test
    assert len({demo.image(sample).tobytes() for sample in samples}) == len(samples)
    assert len({demo.digest(sample) for sample in samples}) == len(samples)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_mask_is_exactly_what_changed(defect):
    for index in range(20):
        rng = np.random.default_rng(index)
        tile, foreign = rng.integers(0, 256, (2, 128, 128), dtype=np.uint8)
        before = tile.copy()
        changed, mask = plant(defect, tile, foreign, Dice(f"{defect}/{index}"))
        np.testing.assert_array_equal(tile, before)
        np.testing.assert_array_equal(mask, changed != tile)
        assert changed.dtype == np.uint8
        assert 30 < mask.sum() < 128 * 128 / 8


@pytest.mark.parametrize("category", CATEGORIES)
def test_defects_are_marked(category):
    for sample in Demo().split(category).test:
        image, mask = Demo().image(sample), Demo().mask(sample)
        assert image.shape == (*mask.shape, 3)
        assert mask.any() == sample.anomalous


def test_the_same_bits_everywhere():
    """Known hashes: a change of them is a change of the dataset, and raises its version."""
    known = {
        "brick/train/good/000": "1d7b6e43a709289d",
        "grass/test/good/003": "3c0bc5695e2f3342",
        "gravel/test/crack/001": "f2f56149208d2c64",
        "brick/test/foreign/000": "c6197644e9430acc",
        "grass/test/hole/002": "8af95454ad848021",
        "gravel/test/scratch/003": "13073fd77297032c",
        "brick/test/stain/001": "dc1dd289f36e6e8f",
    }
    assert {name: Demo().digest(Sample(name, name.split("/")[2]))[:16] for name in known} == known


def test_what_is_given_away_may_be_changed():
    demo, sample = Demo(), Demo().split("brick").test[0]
    image, mask, before = demo.image(sample), demo.mask(sample), demo.digest(sample)
    image[:], mask[:] = 0, False
    assert demo.digest(sample) == before
    assert demo.mask(sample).any()


def test_dice_are_a_function_of_the_name():
    one, other = Dice("a"), Dice("a")
    assert [one.between(0, 9) for _ in range(50)] == [other.between(0, 9) for _ in range(50)]
    assert {Dice("b").between(3, 5) for _ in range(9)} <= {3, 4, 5}
    assert {roll for dice in [Dice("c")] for roll in (dice.between(3, 5) for _ in range(99))} == {3, 4, 5}


def test_without_scikit_image(monkeypatch):
    demo_module._photograph.cache_clear()
    demo_module._tile.cache_clear()
    monkeypatch.setattr(demo_module, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install scikit-image"):
        Demo().image(Demo().split("brick").train[0])


def test_the_photographs_ship_in_the_wheel():
    """Not fetched by scikit-image at run time: the wheel's own list of files has them, with their hashes."""
    from importlib.metadata import files

    shipped = {file.name: file for file in files("scikit-image") or () if file.parent.name == "data"}
    for category in CATEGORIES:
        file = shipped[f"{category}.png"]
        digest = hashlib.sha256(Path(file.locate()).read_bytes()).digest()
        assert file.hash is not None
        assert file.hash.value == base64.urlsafe_b64encode(digest).decode().rstrip("=")
