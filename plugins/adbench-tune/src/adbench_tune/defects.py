"""CutPaste's artificial defects: a piece of the image, or a thin scar of it, at another place (Li et al., 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from adbench_tune.drawing import jittered, place, uniform

AREA = (0.02, 0.15)
"""The share of the image that a piece covers."""

ASPECTS = ((0.3, 1.0), (1.0, 3.3))
"""Width by height of a piece; either range is as likely."""

SCAR_WIDTH, SCAR_HEIGHT, SCAR_ANGLE = (2.0, 16.0), (10.0, 25.0), (-45.0, 45.0)
"""Sides of a scar in pixels of an image of 256 x 256, and its angle in degrees."""

PAPER_SIDE = 256
JITTER = 0.1


def piece_size(height: int, width: int, generator: torch.Generator) -> tuple[int, int]:
    """Height and width of a piece of an image, in pixels."""
    area = uniform(*AREA, generator) * height * width
    ratio = uniform(*ASPECTS[place(1, generator)], generator)
    rows, columns = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
    return min(max(rows, 1), height), min(max(columns, 1), width)


def scar_size(height: int, width: int, generator: torch.Generator) -> tuple[int, int]:
    """Height and width of a scar before it is turned, in pixels; both grow with the image's shorter side."""
    scale = min(height, width) / PAPER_SIDE
    columns, rows = (round(uniform(*sides, generator) * scale) for sides in (SCAR_WIDTH, SCAR_HEIGHT))
    return min(max(rows, 1), height), min(max(columns, 1), width)


def cut(image: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A piece of an image from a random place, with its colours jittered, [3, h, w]."""
    top, left = (place(whole - part, generator) for whole, part in zip(image.shape[1:], size, strict=True))
    return jittered(image[:, top : top + size[0], left : left + size[1]], JITTER, generator)


def with_piece(image: Tensor, generator: torch.Generator) -> Tensor:
    """An image [3, H, W] of 0 to 1 with a piece of itself at another place."""
    piece = cut(image, piece_size(int(image.shape[1]), int(image.shape[2]), generator), generator)
    return pasted(image, piece, torch.ones_like(piece[:1], dtype=torch.bool), generator)


def with_scar(image: Tensor, generator: torch.Generator) -> Tensor:
    """An image [3, H, W] of 0 to 1 with a thin, turned piece of itself at another place."""
    piece = cut(image, scar_size(int(image.shape[1]), int(image.shape[2]), generator), generator)
    angle = uniform(*SCAR_ANGLE, generator)
    solid = torch.cat([piece, torch.ones_like(piece[:1])])
    turned = functional.rotate(solid, angle, expand=True)
    height, width = image.shape[1:]
    turned = turned[:, :height, :width]
    return pasted(image, turned[:3], turned[3:] > 0.5, generator)


def pasted(image: Tensor, piece: Tensor, shown: Tensor, generator: torch.Generator) -> Tensor:
    """An image with a piece at a random place; only pixels of the piece that `shown` [1, h, w] marks are there."""
    top, left = (place(whole - part, generator) for whole, part in zip(image.shape[1:], piece.shape[1:], strict=True))
    changed = image.clone()
    window = changed[:, top : top + piece.shape[1], left : left + piece.shape[2]]
    window.copy_(torch.where(shown, piece, window))
    return changed
