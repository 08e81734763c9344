import json

import numpy as np
import pytest
from PIL import Image

from adbench import BadImage, DataError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.images.ignoring import IgnoreMask, ignored_in, is_own_mask, read_ignore_mask


@pytest.fixture
def corner():
    """[64, 64] bool: the left upper quarter."""
    pixels = np.zeros((64, 64), bool)
    pixels[:32, :32] = True
    return pixels


def save(path, pixels):
    Image.fromarray(pixels.astype(np.uint8) * 255).save(path)
    return path


def drawn(path, points=((0, 0), (31, 0), (31, 31), (0, 31))):
    shape = {"label": "clamp", "shape_type": "polygon", "points": [list(point) for point in points]}
    content = {"imagePath": "000.png", "imageHeight": 64, "imageWidth": 64, "shapes": [shape] if points else []}
    path.write_text(json.dumps(content))
    return path


def test_a_picture_and_a_drawing_of_the_same_pixels_are_the_same_mask(corner, tmp_path):
    one = read_ignore_mask(save(tmp_path / "ignore.png", corner))
    other = read_ignore_mask(drawn(tmp_path / "ignore.json"))
    assert np.array_equal(one.pixels, corner)
    assert np.array_equal(other.pixels, corner)
    assert one.digest == other.digest != IgnoreMask(~corner).digest
    assert one.words == "ignore.png marks 25.0 % of the pixels, which no fit, score or pixel metric reads"


def test_a_mask_may_leave_a_small_window(corner, tmp_path):
    """Masks of defects that mark most of an image are taken for inverted ones; these are not."""
    assert np.array_equal(read_ignore_mask(save(tmp_path / "ignore.png", ~corner)).pixels, ~corner)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: save(path / "ignore.png", np.zeros((4, 4), bool)), "ignore.png marks no pixel"),
        (lambda path: save(path / "ignore.png", np.ones((4, 4), bool)), "ignore.png marks all pixels"),
        (lambda path: drawn(path / "ignore.json", ()), "ignore.json marks no pixel"),
        (lambda path: path / "ignore.png", "ignore.png"),
        (lambda path: path / "ignore.txt", "an ignore mask is an image or a file of labelme"),
    ],
)
def test_masks_that_cannot_be_meant_are_refused(make, why, tmp_path):
    with pytest.raises(DataError, match=why):
        read_ignore_mask(make(tmp_path))


def test_garbage_is_refused(tmp_path):
    for name, content in (("ignore.png", b"\x89PNG broken"), ("ignore.json", b"[1, 2]"), ("ignore.json", b"\xff")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"ignore\."):
            read_ignore_mask(tmp_path / name)


def test_an_image_of_another_size_is_refused(corner):
    with pytest.raises(BadImage, match=r"007.png: has 32x64 pixels, and clamp.png has 64x64; give an ignore mask of"):
        IgnoreMask(corner, "clamp.png").of("007.png", (32, 64))


def test_a_folder_finds_the_mask_beside_its_images(parts, corner):
    plain = Folder(root=parts)
    sample = plain.split("bolt").test[0]
    assert plain.ignored(sample) is None
    save(parts / "bolt" / "ignore.png", corner)
    found = Folder(root=parts)
    assert np.array_equal(found.ignored(sample), corner)
    assert found.ignored(found.split("nut").test[0]) is None
    assert found.digest(sample) != plain.digest(sample)
    assert found.survey("bolt").passed_over == ()
    assert list(found.remarks("bolt")) == [f"bolt: {IgnoreMask(corner, 'ignore.png').words}"]
    assert not list(found.remarks("nut"))


def test_an_option_names_the_mask_of_all_categories_and_replaces_those_beside(parts, corner, tmp_path):
    save(parts / "bolt" / "ignore.png", ~corner)
    dataset = Folder(root=parts, ignore=save(tmp_path / "mine.png", corner))
    for category in ("bolt", "nut"):
        assert np.array_equal(dataset.ignored(dataset.split(category).train[0]), corner)
    assert dataset.identity() == {}


def test_two_masks_beside_the_images_are_refused(parts, corner):
    save(parts / "bolt" / "ignore.png", corner)
    drawn(parts / "bolt" / "ignore.json")
    with pytest.raises(DataError, match=r"ignore.json and ignore.png both mark pixels to ignore; keep one of them"):
        Folder(root=parts).split("bolt")


@pytest.fixture
def image(tmp_path):
    return save(tmp_path / "000.png", np.zeros((64, 64), bool))


def test_an_image_without_a_mask_of_its_own_has_that_of_all(corner, image):
    of_all = IgnoreMask(corner)
    assert ignored_in(image, of_all) is of_all
    assert ignored_in(image, None) is None


@pytest.mark.parametrize("form", ["png", "json"])
def test_a_mask_beside_an_image_is_added_to_that_of_all(form, corner, image, tmp_path):
    if form == "png":
        save(tmp_path / "000.ignore.png", corner)
    else:
        drawn(tmp_path / "000.ignore.json")
    save(tmp_path / "001.ignore.png", ~corner)
    assert np.array_equal(ignored_in(image, None).pixels, corner)
    rows = np.zeros((64, 64), bool)
    rows[60:] = True
    both = ignored_in(image, IgnoreMask(rows, "ignore.png"))
    assert np.array_equal(both.pixels, corner | rows)
    assert both.name == f"ignore.png with 000.ignore.{form}"


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((64, 64), bool), "000.ignore.png marks no pixel"),
        (np.ones((32, 64), bool), "000.ignore.png marks all pixels"),
        (np.eye(64, 32, dtype=bool), "has 64x64 pixels, and 000.ignore.png has 64x32"),
    ],
)
def test_a_mask_of_an_image_that_cannot_be_meant_names_the_image(pixels, why, image, tmp_path):
    save(tmp_path / "000.ignore.png", pixels)
    with pytest.raises(BadImage, match=why) as told:
        ignored_in(image, None)
    assert str(told.value).startswith(str(image))


def test_two_masks_that_leave_nothing_are_refused(corner, image, tmp_path):
    save(tmp_path / "000.ignore.png", ~corner)
    with pytest.raises(BadImage, match=r"of all with 000.ignore.png marks all pixels"):
        ignored_in(image, IgnoreMask(corner, "of all"))


def test_two_masks_of_one_image_are_refused(corner, image, tmp_path):
    save(tmp_path / "000.ignore.png", corner)
    drawn(tmp_path / "000.ignore.json")
    with pytest.raises(BadImage, match="000.ignore.png and 000.ignore.json both mark pixels to ignore; keep one"):
        ignored_in(image, None)


def test_a_mask_is_known_by_its_name(tmp_path):
    assert is_own_mask(tmp_path / "000.Ignore.PNG")
    assert not is_own_mask(tmp_path / "ignore.png")
    assert not is_own_mask(tmp_path / "000.png")
