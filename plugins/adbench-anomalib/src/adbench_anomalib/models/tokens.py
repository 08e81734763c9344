"""The stand-in for a frozen transformer of anomalib: it answers with the vectors of the recipe's backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from adbench import UsageError

if TYPE_CHECKING:
    from adbench_anomalib.examples import Layout


class GivenTokens(nn.Module):
    """Layers of one size that were computed before, as vectors side by side.

    Args:
        layout: of the images and layers.
        who: the bank, as messages write it.

    Attributes:
        held: the layers [B, C, H, W] of the images that are shown next.
        grid: H and W.
        embed_dim: channels of all layers together, as anomalib calls them.
        patch_size: pixels of a patch's side.
        num_patches: H times W.

    Raises:
        UsageError: layers have different sizes, or are no whole part of the image.
    """

    def __init__(self, layout: Layout, who: str) -> None:
        super().__init__()
        self.grid = layout.layers[0][1:]
        (height, width), (rows, columns) = layout.size, self.grid
        self.patch_size = height // rows
        same = all(shape[1:] == self.grid for shape in layout.layers)
        if not same or (rows * self.patch_size, columns * self.patch_size) != (height, width):
            found = ", ".join(f"{shape[1]} x {shape[2]}" for shape in layout.layers)
            raise UsageError(
                f"{who} reads layers of one size, which divides that of the image, but the backbone gives {found} of"
                f" {height} x {width} pixels; name blocks of a transformer, or one layer"
            )
        self.embed_dim = sum(shape[0] for shape in layout.layers)
        self.num_patches = rows * columns
        self.held: tuple[Tensor, ...] = tuple(torch.zeros(1, *shape) for shape in layout.layers)

    def forward(self, _images: Tensor, *, output_attn: bool = False) -> Tensor | tuple[Tensor, None]:
        """The vectors [B, H W, channels] of all layers together; without attention, where it is asked for."""
        together = torch.cat([rows_of(layer) for layer in self.held], dim=-1)
        return (together, None) if output_attn else together


class GivenPair(GivenTokens):
    """Two layers of the same shape, which are not put together, in place of L2BT's `FeatureExtractor`."""

    def forward(self, _images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """The vectors [B, H W, C] of the middle layer and of the last."""
        middle, last = (rows_of(layer) for layer in self.held)
        return middle, last


def rows_of(layer: Tensor) -> Tensor:
    """A layer [B, C, H, W] as vectors [B, H W, C]."""
    return layer.flatten(2).transpose(1, 2)
