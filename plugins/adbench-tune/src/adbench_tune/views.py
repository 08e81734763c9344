"""Views of a batch of images: crops, flips and changes of colour; and masks of patches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from adbench_tune.drawing import aspect, jittered, place, uniform

GLOBAL, LOCAL = (0.4, 1.0), (0.05, 0.4)
"""The share of the image that a global and a local crop cover (DINO)."""

RATIO = (3 / 4, 4 / 3)
"""Width by height of a crop."""

JITTERED = 0.8
"""The share of views whose colours are changed."""

MASKED = (0.1, 0.5)
"""The share of patches that is masked, in half of the images (iBOT, DINOv2)."""


@dataclass(frozen=True)
class ViewRule:
    """How views are made.

    Attributes:
        size: side of the two global views in pixels.
        local_size: side of the local views in pixels.
        flip: whether half of the views are mirrored.
        jitter: how far brightness, contrast and saturation change; the hue a quarter of that.
    """

    size: int
    local_size: int
    flip: bool
    jitter: float

    def views(self, images: Tensor, small: int, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Two global views [2, B, 3, size, size] of images [B, 3, H, W], and so many small ones."""
        shown = torch.stack([self._views(images, GLOBAL, self.size, generator) for _ in range(2)])
        return shown, [self._views(images, LOCAL, self.local_size, generator) for _ in range(small)]

    def _views(self, images: Tensor, share: tuple[float, float], size: int, generator: torch.Generator) -> Tensor:
        return torch.stack([self._view(image, share, size, generator) for image in images])

    def _view(self, image: Tensor, share: tuple[float, float], size: int, generator: torch.Generator) -> Tensor:
        height, width = int(image.shape[1]), int(image.shape[2])
        rows, columns = crop_size(height, width, share, generator)
        top, left = place(height - rows, generator), place(width - columns, generator)
        seen = functional.resized_crop(image, top, left, rows, columns, [size, size], antialias=True)
        if self.flip and uniform(0, 1, generator) < 0.5:
            seen = seen.flip(-1)
        if self.jitter and uniform(0, 1, generator) < JITTERED:
            seen = jittered(seen.clamp(0, 1), self.jitter, generator, hue=self.jitter / 4)
        made: Tensor = seen.clamp(0, 1)
        return made


def crop_size(height: int, width: int, share: tuple[float, float], generator: torch.Generator) -> tuple[int, int]:
    """Height and width of a crop in pixels."""
    area, ratio = uniform(*share, generator) * height * width, aspect(*RATIO, generator)
    rows, columns = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
    return min(max(rows, 1), height), min(max(columns, 1), width)


def masks_for(images: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """[B, H, W] bool: blocks of masked patches in half of the images, and at least one masked patch in all."""
    masks = torch.zeros(images, height, width, dtype=torch.bool)
    for mask in masks:
        if uniform(0, 1, generator) < 0.5:
            _mask_blocks(mask, max(1, round(uniform(*MASKED, generator) * height * width)), generator)
    if not masks.any():
        masks[0, place(height - 1, generator), place(width - 1, generator)] = True
    return masks


def _mask_blocks(mask: Tensor, wanted: int, generator: torch.Generator) -> None:
    """Mask rectangles until so many patches are masked; of the last one only as many as are missing."""
    height, width = mask.shape
    while (missing := wanted - int(mask.sum())) > 0:
        area, ratio = uniform(1, missing, generator), aspect(0.3, 1 / 0.3, generator)
        rows, columns = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        rows, columns = min(max(rows, 1), height), min(max(columns, 1), width)
        top, left = place(height - rows, generator), place(width - columns, generator)
        fresh = torch.zeros_like(mask)
        fresh[top : top + rows, left : left + columns] = True
        where = (fresh & ~mask).nonzero()[:missing]
        mask[where[:, 0], where[:, 1]] = True
