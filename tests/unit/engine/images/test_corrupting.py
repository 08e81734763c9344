import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from adbench.engine.images.corrupting import corrupted, moved_mask
from adbench.engine.images.corruption import EVERY, MOVING, NAMES, STRENGTHS, Corruption

CONTENTS = st.text("abc", min_size=1, max_size=3)
SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def picture(side=(96, 128), *, gray=False, deep=False, seed=0):
    """Soft blobs on a mid gray, as a camera sees parts."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((*side, 1 if gray else 3)), (9, 9, 0))
    unit = np.broadcast_to(np.clip(0.5 + 2.5 * noise, 0.02, 0.98), (*side, 3)).astype(np.float32)
    return unit if deep else np.rint(unit * 255).astype(np.uint8)


def psnr(image, other):
    error = np.mean((image.astype(np.float64) - other.astype(np.float64)) ** 2)
    return np.inf if error == 0 else -10 * np.log10(error)


@pytest.mark.parametrize("name", NAMES)
@given(content=CONTENTS, gray=st.booleans())
@settings(max_examples=8, deadline=None)
def test_a_stronger_corruption_changes_more(name, content, gray):
    image = picture((260, 280) if name == "shift" else (96, 128), gray=gray)  # shifts are whole pixels
    found = [psnr(image, corrupted(image, Corruption(name, strength), content)) for strength in STRENGTHS]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


@pytest.mark.parametrize("corruption", EVERY, ids=str)
def test_a_corruption_is_the_same_again_and_keeps_shape_and_type(corruption):
    for image in (picture((40, 30)), picture((40, 30), deep=True)):
        before = image.copy()
        first, again = corrupted(image, corruption, "a"), corrupted(image, corruption, "a")
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(image, before)
        assert (first.shape, first.dtype) == (image.shape, image.dtype)
        assert first.flags.c_contiguous
        assert 0 <= first.min() <= first.max() <= (255 if image.dtype == np.uint8 else 1)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"contrast", "jpeg", "defocus"}))
def test_other_contents_are_drawn_otherwise(name):
    image = picture()
    found = [corrupted(image, Corruption(name, 5), content).tobytes() for content in "abcdefgh"]
    assert len(set(found)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_gray_image_stays_gray(name):
    image = corrupted(picture(gray=True), Corruption(name, 3), "a")
    assert (image == image[:, :, :1]).all()


@pytest.mark.parametrize("name", NAMES)
@given(side=SIDES, content=CONTENTS, level=st.sampled_from([0, 255, 128]))
@settings(max_examples=10, deadline=None)
def test_any_size_and_plain_images_are_fine(name, side, content, level):
    image = np.full((*side, 3), level, np.uint8)
    found = corrupted(image, Corruption(name, 5), content)
    assert found.shape == image.shape
    if name in MOVING:
        np.testing.assert_array_equal(found, image)


@given(st.sampled_from(STRENGTHS), CONTENTS, SIDES)
@settings(max_examples=50, deadline=None)
def test_a_shifted_mask_marks_exactly_the_shifted_pixels(strength, content, side):
    """Each pixel has its own number, so that it is known where it went."""
    numbers = np.arange(side[0] * side[1]).reshape(side)
    image = np.dstack([numbers % 256, numbers // 256, numbers * 0]).astype(np.uint8)
    mask = np.random.default_rng(strength).random(side) < 0.3
    corruption = Corruption("shift", strength)
    new = corrupted(image, corruption, content).astype(int)
    np.testing.assert_array_equal(moved_mask(mask, corruption, content), mask.ravel()[new[..., 0] + 256 * new[..., 1]])


@given(st.sampled_from(STRENGTHS), CONTENTS)
@settings(max_examples=30, deadline=None)
def test_a_rotated_mask_marks_the_rotated_pixels(strength, content):
    """The mask itself, shown as an image and rotated, is white where the rotated mask marks; only edges are between."""
    mask = np.zeros((90, 120), bool)
    mask[20:50, 30:80] = True
    corruption = Corruption("rotation", strength)
    image = corrupted(np.where(mask[:, :, None], np.uint8(255), np.uint8(0)).repeat(3, axis=2), corruption, content)
    moved = moved_mask(mask, corruption, content)
    assert ((image[..., 0] > 127) != moved).sum() <= 0.02 * mask.sum()
    assert moved[image[..., 0] == 255].all()
    assert not moved[image[..., 0] == 0].any()
    assert abs(int(moved.sum()) - int(mask.sum())) <= 0.02 * mask.sum()


@pytest.mark.parametrize(("strength", "degrees"), [(one, one) for one in STRENGTHS])
def test_a_rotation_has_its_angle(strength, degrees):
    mask = np.zeros((201, 201), bool)
    mask[100, 20:181] = True
    rows, columns = np.nonzero(moved_mask(mask, Corruption("rotation", strength), "a"))
    slope = np.polyfit(columns, rows, 1)[0]
    assert abs(abs(np.degrees(np.arctan(slope))) - degrees) < 0.1


@given(CONTENTS)
@settings(max_examples=20, deadline=None)
def test_a_shift_is_at_most_four_percent(content):
    mask = np.zeros((100, 300), bool)
    mask[50, 150] = True
    (row,), (column,) = np.nonzero(moved_mask(mask, Corruption("shift", 5), content))
    assert 2 <= np.hypot(row - 50, column - 150) <= 4


def test_light_does_not_move_a_mask():
    mask = np.eye(9, dtype=bool)
    assert moved_mask(mask, Corruption("defocus", 5), "a") is mask


@pytest.mark.parametrize("name", ["defocus", "motion-blur"])
def test_a_blur_spreads_a_point_evenly_around_it(name):
    image = np.zeros((225, 225, 3), np.float32)
    image[112, 112] = 1
    found = corrupted(image, Corruption(name, 3), "a")[..., 0].astype(np.float64)
    assert abs(found.sum() - 1) < 1e-3
    middle = (found.sum(axis=1) @ np.arange(225), found.sum(axis=0) @ np.arange(225))
    assert np.allclose(middle, 112, atol=0.05), "the object stays above its mask"


def test_defocus_is_a_disk():
    image = np.zeros((224, 224, 3), np.float32)
    image[112, 112] = 1
    found = corrupted(image, Corruption("defocus", 5), "a")[..., 0]
    rows, columns = np.nonzero(found > 1e-5)
    assert np.hypot(rows - 112, columns - 112).max() <= 10.8
    assert (found > 1e-5).sum() == pytest.approx(np.pi * 100, rel=0.12)


def test_noise_has_its_deviation_and_no_bias():
    image = np.full((200, 200, 3), 0.5, np.float32)
    image[..., 1] = 0.51
    found = corrupted(image, Corruption("noise", 1), "a") - image
    assert abs(found.mean()) < 1e-3
    assert found.std() == pytest.approx(0.08, rel=0.02)


def test_side_light_brightens_one_side_and_darkens_the_other():
    image = np.full((50, 80, 3), 0.5, np.float32)
    found = corrupted(image, Corruption("side-light", 5), "a")
    assert found.min() == pytest.approx(0.25, abs=0.01)
    assert found.max() == pytest.approx(0.75, abs=0.01)
    assert found.mean() == pytest.approx(0.5, abs=0.01)
