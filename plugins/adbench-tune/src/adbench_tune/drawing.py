"""Numbers drawn from a generator, and changes of colour that follow from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """A number between two others."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def place(most: int, generator: torch.Generator) -> int:
    """A whole number from 0 to `most`."""
    return int(torch.randint(most + 1, (), generator=generator))


def aspect(low: float, high: float, generator: torch.Generator) -> float:
    """A ratio of width to height, evenly on a logarithmic scale."""
    return math.exp(uniform(math.log(low), math.log(high), generator))


def jittered(image: Tensor, strength: float, generator: torch.Generator, *, hue: float | None = None) -> Tensor:
    """An image [3, H, W] of 0 to 1 with other brightness, contrast, saturation and hue.

    Args:
        image: [3, H, W].
        strength: each factor lies between 1 - `strength` and 1 + `strength`.
        generator: draws the factors.
        hue: the largest turn of the hue, as a share of the circle; None for `strength`.
    """
    turn = min(0.5, strength if hue is None else hue)
    for change in (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation):
        image = change(image, uniform(max(0.0, 1 - strength), 1 + strength, generator))
    return functional.adjust_hue(image, uniform(-turn, turn, generator)) if turn else image
