"""Sizes by hand; everything else against segment-anything's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_sam.frame import Frame
from segment_anything.utils.transforms import ResizeLongestSide

SIZES = [(90, 70), (128, 128), (41, 300), (33, 33), (200, 77)]


def test_the_longest_side_fills_the_square():
    assert Frame(300, 200, 1024).inner == (1024, 683)  # 682.67 rounded
    assert Frame(1, 8, 128).inner == (16, 128)
    assert Frame(256, 1, 128).inner == (128, 1)  # 0.5 rounded up


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pixels_are_the_references(lively, picture, height, width):
    image = picture(height, width)
    resized = ResizeLongestSide(128).apply_image(image.permute(1, 2, 0).numpy())
    expected = lively.model.preprocess(torch.from_numpy(resized).permute(2, 0, 1))[None]
    assert torch.equal(Frame(height, width, 128).pixels(image), expected)


def test_the_padding_is_below_and_to_the_right():
    pixels = Frame(2, 4, 8).pixels(torch.full((3, 2, 4), 255, dtype=torch.uint8))
    assert pixels.shape == (1, 3, 8, 8)
    assert float(pixels[0, 0, :4].min()) == pytest.approx((255 - 123.675) / 58.395)
    assert float(pixels[:, :, 4:].abs().max()) == 0


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_points_are_the_references(height, width):
    points = np.array([[0.0, 0.0], [width / 3, height / 7], [width, height]])
    expected = ResizeLongestSide(128).apply_coords(points, (height, width))
    np.testing.assert_array_equal(Frame(height, width, 128).points(torch.from_numpy(points)).numpy(), expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_logits_are_the_references(lively, height, width):
    logits = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))
    frame = Frame(height, width, 128)
    expected = lively.model.postprocess_masks(logits[:, None], frame.inner, (height, width))[:, 0]
    assert torch.equal(frame.logits(logits), expected)
