"""Views in which normal images are shown, so that few of them stand for many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from adbench import Augmenter, Field

if TYPE_CHECKING:
    from torch import Tensor


class Rotate(Augmenter):
    """The image turned about its centre, its reflection in the corners (AnomalyDINO, https://arxiv.org/abs/2405.14529).

    The authors' turn: about the point (W / 2, H / 2), pixels counted from 0, counter-clockwise, bilinear, the pixels of
    the border not repeated (OpenCV's ``getRotationMatrix2D`` and ``warpAffine`` with ``BORDER_REFLECT_101``). OpenCV
    rounds places to a 32nd of a pixel, which this does not.
    """

    name = "rotate"

    class Config(Augmenter.Config):
        angles: tuple[float, ...] = Field(
            (45, 90, 135, 180, 225, 270, 315), min_length=1, description="degrees, one view each; 0 is always shown"
        )

    config: Config

    @property
    def count(self) -> int:
        return len(self.config.angles)

    def view(self, image: Tensor, number: int) -> Tensor:
        from torch.nn.functional import grid_sample

        height, width = image.shape[1:]
        places = _sources(height, width, self.config.angles[number])
        # Reflection about the centres of the border's pixels is what aligned corners mean
        seen = grid_sample(image[None].double(), places[None], padding_mode="reflection", align_corners=True)[0]
        return (seen if image.is_floating_point() else seen.round()).to(image.dtype)


def _sources(height: int, width: int, angle: float) -> Tensor:
    """[H, W, 2] float64: x and y that each place of the turned image comes from, -1 and 1 the centres of the border."""
    import torch

    y = torch.arange(height, dtype=torch.float64)[:, None] - height / 2
    x = torch.arange(width, dtype=torch.float64) - width / 2
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, down = cos * x - sin * y + width / 2, sin * x + cos * y + height / 2
    sides = [2 * place / max(1, side - 1) - 1 for place, side in ((across, width), (down, height))]
    return torch.stack(sides, dim=-1)
