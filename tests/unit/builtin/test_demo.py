from __future__ import annotations

import base64
import hashlib
import itertools
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
        assert (len(split.train), len(split.test)) == (28, 36)
        assert {sample.defect for sample in split.test} == {"good", *DEFECTS}
        assert [sample.id for sample in split.test] == sorted({sample.id for sample in split.test})
    with pytest.raises(UnknownName, match="did you mean 'gravel'"):
        Demo().split("gravle")


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_two_images_share_a_pixel(category, monkeypatch):
    """With a photograph whose 64 tiles have a gray value each, every image has one value, and each value one image."""
    photograph = np.kron(np.arange(64, dtype=np.uint8).reshape(8, 8), np.ones((64, 64), np.uint8))
    monkeypatch.setattr(demo_module, "_photograph", lambda name: photograph)
    monkeypatch.setattr(demo_module, "plant", lambda defect, tile, foreign, dice: (tile, tile > 0))
    demo_module._tile.cache_clear()
    split = Demo().split(category)
    values = [np.unique(Demo().image(sample)).tolist() for sample in split.train + split.test]
    demo_module._tile.cache_clear()
    assert sorted(values) == [[value] for value in range(64)]


@pytest.mark.parametrize("category", CATEGORIES)
def test_normal_images_of_training_and_test_come_from_all_over_the_photograph(category):
    """The order is random: neither part keeps to some rows or columns, and no category has another's order."""
    places = demo_module._places(category)
    for folder in ("train/good", "test/good"):
        own = [place for (where, _), place in places.items() if where == folder]
        assert len({place // 8 for place in own}) >= 6
        assert len({place % 8 for place in own}) >= 6
    assert sum(places != demo_module._places(other) for other in CATEGORIES) == 2


def test_a_tile_is_enlarged_linearly():
    """Each new pixel is a quarter of a pixel's width from its nearest old pixel, in both directions."""
    tile = np.array([[0, 100], [200, 40]], np.uint8)
    expected = [[0, 25, 75, 100], [50, 59, 76, 85], [150, 126, 79, 55], [200, 160, 80, 40]]
    np.testing.assert_array_equal(demo_module._enlarged(tile), expected)
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    assert (np.diff(demo_module._enlarged(ramp)[0].astype(int))[1:-1] == 2).all()


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
        "brick/train/good/000": "0a9b25c654126c04",
        "grass/test/good/003": "59ccee8cedbadcf6",
        "gravel/test/crack/001": "a2d3e7b9f9bd31b8",
        "brick/test/foreign/000": "934f1886d9d52ece",
        "grass/test/hole/002": "96c7910b26e8a883",
        "gravel/test/scratch/003": "af90eb0e7d981853",
        "brick/test/stain/001": "20aef86826fe557d",
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


def test_dice_order_all_numbers_and_every_order_is_as_likely():
    orders = [tuple(Dice(f"order {index}").order(3)) for index in range(600)]
    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 600
    assert min(counts) > 60
    assert sorted(Dice("a").order(64)) == list(range(64))
    assert Dice("a").order(0) == []


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
