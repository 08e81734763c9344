"""The corruption of training images, so that an autoencoder cannot just copy its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Corruption = Literal["none", "noise", "stain"]

NOISE = 0.5
"""Standard deviation of the noise, in standard deviations of the channel."""

AREA = (0.02, 0.15)
"""Share of the image that a stain covers."""

ASPECT = (0.3, 3.3)
"""Height of a stain by its width."""

REACH = 2.0
"""Colours of stains lie so many standard deviations around the mean, at most."""


def corrupted(batch: Tensor, how: Corruption, generator: torch.Generator) -> Tensor:
    """A corrupted copy of a batch.

    Args:
        batch: standardised, [B, C, H, W] or [B, C].
        how: ``"noise"``: Gaussian noise on all values; ``"stain"``: an ellipse of one colour on each image, at any
            place and angle, as AESc's (Collin and De Vleeschouwer, arXiv 2008.12977) but with an even border.
        generator: what draws it.
    """
    import torch

    if how == "none":
        return batch
    if how == "noise":
        return batch + NOISE * torch.randn(batch.shape, generator=generator).to(batch)
    height, width = batch.shape[-2:]
    covered = ellipses(len(batch), height, width, generator).to(batch.device)
    colours = REACH * (2 * torch.rand(*batch.shape[:2], 1, 1, generator=generator) - 1)
    return torch.where(covered[:, None], colours.to(batch), batch)


def ellipses(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """[count, height, width] bool: one ellipse each, its middle within the image."""
    import torch

    share, aspect, turn, middle_y, middle_x = torch.rand(5, count, 1, 1, generator=generator, dtype=torch.float64)
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width
    ratio = ASPECT[0] * (ASPECT[1] / ASPECT[0]) ** aspect  # evenly by its logarithm: as often high as wide
    half_y, half_x = (area * ratio / torch.pi).sqrt(), (area / ratio / torch.pi).sqrt()
    y = torch.arange(height)[:, None] + 0.5 - middle_y * height
    x = torch.arange(width) + 0.5 - middle_x * width
    sine, cosine = (turn * torch.pi).sin(), (turn * torch.pi).cos()
    inside: Tensor = ((y * cosine + x * sine) / half_y) ** 2 + ((x * cosine - y * sine) / half_x) ** 2 <= 1
    return inside
