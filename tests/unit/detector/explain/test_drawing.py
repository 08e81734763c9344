"""Crops of explanations: the patch is inside its frame, wherever it lies and however small the image is."""

import numpy as np
import pytest
from PIL import ImageColor

from adbench.detector.explain.drawing import crop_of
from adbench.detector.explain.parts import PatchBox

BLUE = "#0072B2"


@pytest.mark.parametrize("shape", [(200, 300), (60, 300), (20, 20), (7, 5)])
@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_the_patch_is_framed_and_not_hidden(shape, corner):
    image = np.full((*shape, 3), 90, np.uint8)
    side = min(8, *shape)
    top, left = (round(share * (length - side)) for share, length in zip(corner, shape, strict=True))
    image[top : top + side, left : left + side] = (255, 255, 0)
    crop = crop_of(image, PatchBox(left, top, left + side, top + side), BLUE)
    assert crop.shape == (360, 360, 3)
    yellow = (crop[..., 0] > 200) & (crop[..., 1] > 200) & (crop[..., 2] < 60)
    assert yellow.sum() > 200
    framed = (crop == ImageColor.getrgb(BLUE)).all(axis=-1)
    if min(shape) > 2 * side:
        rows, columns = np.nonzero(framed)
        inside_rows, inside_columns = np.nonzero(yellow)
        assert rows.min() <= inside_rows.min()
        assert rows.max() >= inside_rows.max()
        assert columns.min() <= inside_columns.min()
        assert columns.max() >= inside_columns.max()


def test_without_a_colour_the_whole_box_is_shown_without_a_frame():
    image = np.full((40, 80, 3), 90, np.uint8)
    crop = crop_of(image, PatchBox(0, 0, 80, 40), None)
    assert (crop[:170, :] == 90).all()
    assert (crop[190:, :] == 255).all()


def test_images_of_16_bits_are_shown():
    assert crop_of(np.full((64, 64, 3), 0.5, np.float32), PatchBox(0, 0, 8, 8), BLUE).dtype == np.uint8
