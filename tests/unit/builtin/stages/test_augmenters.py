"""Turned images, by hand and beside OpenCV."""

from __future__ import annotations

import pytest
import torch

from adbench import UsageError
from adbench.builtin.stages.augmenters import Rotate
from adbench.testing import parametrize_with_checks


@parametrize_with_checks([Rotate(), Rotate(angles=[90])])
def test_conforms(check):
    check()


def smooth(height, width):
    """A picture of soft waves, so that a 32nd of a pixel is less than a level."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(height))
    return (torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")[0].clamp(0, 1) * 255).byte()


def test_half_a_turn_by_hand():
    """About (2, 1) of 4 x 2 pixels: x comes from 4 - x and y from 2 - y, and 4 and 2 are mirrored at 3 and 1."""
    image = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=torch.uint8).repeat(3, 1, 1)
    assert Rotate(angles=[180]).view(image, 0)[0].tolist() == [[3, 4, 3, 2], [7, 8, 7, 6]]


def test_no_turn_changes_nothing():
    image = smooth(20, 31)
    assert torch.equal(Rotate(angles=[0]).view(image, 0), image)
    assert torch.equal(Rotate(angles=[45, 360]).view(image, 1), image)


def test_a_view_for_each_angle():
    rotate = Rotate()
    assert rotate.config.angles == (45, 90, 135, 180, 225, 270, 315)
    assert rotate.count == 7
    with pytest.raises(UsageError, match="'angles'"):
        Rotate(angles=[])


@pytest.mark.proves("anomaly-dino")
@pytest.mark.parametrize("angle", [45, 90, 135, 180, 225, 270, 315, 12.5])
@pytest.mark.parametrize("size", [(64, 64), (61, 90), (75, 40)])
def test_as_opencv(size, angle):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    image = smooth(*size)
    pixels = image.permute(1, 2, 0).numpy()
    matrix = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), angle, 1.0)
    expected = cv2.warpAffine(pixels, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    apart = (Rotate(angles=[angle]).view(image, 0).permute(1, 2, 0).int() - torch.from_numpy(expected).int()).abs()
    assert apart.max() <= 2
    assert apart.float().mean() < 0.3
