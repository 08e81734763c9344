"""The frame of an image in Segment Anything's padded square, as ``ResizeLongestSide`` and ``preprocess`` make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of the pixels from 0 to 255."""


@dataclass(frozen=True)
class Frame:
    """The place of an image in the square: top left, with the longest side as long as the square's.

    Attributes:
        height, width: of the image in pixels.
        side: of the square in pixels.
    """

    height: int
    width: int
    side: int

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width of the image within the square, rounded half up."""
        scale = self.side / max(self.height, self.width)
        return int(self.height * scale + 0.5), int(self.width * scale + 0.5)

    def pixels(self, image: Tensor) -> Tensor:
        """[1, 3, side, side] float32: the image [3, H, W] uint8 enlarged bilinearly, normalised, padded with zeros."""
        import numpy as np
        import torch
        from PIL import Image
        from torch.nn.functional import pad

        inside, across = self.inner
        picture = Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).resize(
            (across, inside), Image.Resampling.BILINEAR
        )
        values = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        mean, std = (torch.tensor(row).view(3, 1, 1) for row in (MEAN, STD))
        return pad((values - mean) / std, (0, self.side - across, 0, self.side - inside))[None]

    def points(self, points: Tensor) -> Tensor:
        """Points [N, 2] float64 (x, y in pixels of the image) in pixels of the square."""
        import torch

        inside, across = self.inner
        return points * torch.tensor([across / self.width, inside / self.height], dtype=points.dtype)

    def logits(self, logits: Tensor) -> Tensor:
        """[N, H, W]: the network's logits [N, h, w], bilinearly enlarged to the square, cut, brought to the image."""
        from torch.nn.functional import interpolate

        inside, across = self.inner
        square = interpolate(logits[None], (self.side, self.side), mode="bilinear", align_corners=False)
        cut = square[..., :inside, :across]
        return interpolate(cut, (self.height, self.width), mode="bilinear", align_corners=False)[0]
