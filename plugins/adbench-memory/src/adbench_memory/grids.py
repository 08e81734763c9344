"""Layers side by side on one grid, as a bank stores them; their widths separate them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features

Reads = Literal["patches", "layers"]


def side_by_side(features: Features, reads: Reads, who: str) -> tuple[Tensor, tuple[int, ...]]:
    """The patches, or all layers enlarged bilinearly to the finest grid, channels one after the other.

    Args:
        features: of some images.
        reads: which field of them.
        who: the component that asks, as messages write it.

    Returns:
        [B, H, W, C] float32 and the channels of each layer, which add up to C; a single width for patches.

    Raises:
        ContractError: the field is empty.
    """
    import torch

    if reads == "patches":
        patches = features.need_patches(who).float()
        return patches, (patches.shape[-1],)
    layers = [layer.float() for layer in features.need_layers(who).values()]
    height, width = max(tuple(layer.shape[1:3]) for layer in layers)
    grids = [_enlarged(layer, height, width) for layer in layers]
    return torch.cat(grids, dim=-1), tuple(grid.shape[-1] for grid in grids)


def layer_slices(widths: tuple[int, ...]) -> Iterator[slice]:
    """The channels of each layer, in order."""
    start = 0
    for width in widths:
        yield slice(start, start + width)
        start += width


def _enlarged(layer: Tensor, height: int, width: int) -> Tensor:
    from torch.nn.functional import interpolate

    if tuple(layer.shape[1:3]) == (height, width):
        return layer
    channels_first = layer.permute(0, 3, 1, 2)
    return interpolate(channels_first, (height, width), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
