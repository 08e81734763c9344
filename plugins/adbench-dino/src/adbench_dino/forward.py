"""The forward passes of the models: from normalised images to maps of patches and image vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class DinoOutput:
    """The output of a model for a batch.

    Attributes:
        maps: [B, H, W, C], one for each block asked for.
        image: [B, C], after the final norm.
    """

    maps: list[Tensor]
    image: Tensor


class DinoNetwork(nn.Module):
    """A model and its forward pass as one network: the maps of a `DinoOutput`, then its image vectors.

    Both are float32, whatever the model computes in.
    """

    def __init__(self, model: nn.Module, forward: Callable[[Tensor], DinoOutput]) -> None:
        super().__init__()
        self.model = model
        self._forward = forward

    def forward(self, images: Tensor) -> list[Tensor]:
        output = self._forward(images)
        return [found.float() for found in (*output.maps, output.image)]


def cache_rotary_tables(model: Any) -> None:
    """Compute a grid's rotary table once. timm computes it on the CPU at each call, which also prevents CUDA graphs."""
    make = model.rope.get_embed
    cached = cache(lambda *shape: make(shape=list(shape)))
    model.rope.get_embed = lambda shape: cached(*map(int, shape))


def forward_rotary(model: Any, images: Tensor, blocks: Sequence[int], norm: bool) -> DinoOutput:
    """DINOv3's transformers: rotary position embeddings, which fit any grid."""
    found = model.forward_intermediates(
        images,
        indices=list(blocks),
        return_prefix_tokens=True,
        stop_early=True,
        output_fmt="NLC",
        intermediates_only=True,
    )
    patch = model.patch_embed.patch_size[0]
    grid = (images.shape[2] // patch, images.shape[3] // patch)
    final = model.norm if norm else nn.Identity()
    maps = [final(tokens).unflatten(1, grid) for tokens, _ in found]
    return DinoOutput(maps, model.norm(found[-1][1][:, 0]))


def forward_convnext(model: Any, images: Tensor, blocks: Sequence[int], norm: bool) -> DinoOutput:
    """DINOv3's ConvNeXts, where the mean over the map stands for the class token.

    The final norm belongs to the last stage; earlier ones have other widths and stay as they are.
    """
    maps = model.forward_intermediates(images, indices=list(blocks), stop_early=True, intermediates_only=True)
    final = model.head.norm if blocks[-1] == 3 else nn.Identity()
    image = final(maps[-1].mean(dim=(2, 3), keepdim=True)).flatten(1)
    if norm:
        maps = [*maps[:-1], final(maps[-1])]
    return DinoOutput([found.permute(0, 2, 3, 1).contiguous() for found in maps], image)


def forward_absolute(
    model: Any, images: Tensor, blocks: Sequence[int], norm: bool, positions: Callable[[int, int], Tensor]
) -> DinoOutput:
    """DINOv2's transformers; `positions` are their position embeddings for rows and columns of the grid."""
    patches = model.patch_embed(images)
    batch, height, width, _ = patches.shape
    tokens = _with_prefix(model, patches.flatten(1, 2), positions(int(height), int(width)))
    prefix = model.num_prefix_tokens
    final = model.norm if norm else nn.Identity()
    maps = []
    for index, block in enumerate(model.blocks):
        tokens = block(tokens)
        if index in blocks:
            maps.append(final(tokens[:, prefix:]).reshape(batch, height, width, -1))
    return DinoOutput(maps, model.norm(tokens[:, 0]))


def _with_prefix(model: Any, patches: Tensor, positions: Tensor) -> Tensor:
    """Class token, register tokens (where the model has them), then patches with their positions."""
    batch = patches.shape[0]  # not len(): an exporter would take that as constant
    cls = model.cls_token
    if not model.no_embed_class:  # the first position is the class token's own
        cls = cls + model.pos_embed[:, :1]
    prefix = [cls] if model.reg_token is None else [cls, model.reg_token]
    return torch.cat([*(token.expand(batch, -1, -1) for token in prefix), patches + positions], dim=1)


def official_positions(model: Any, height: int, width: int) -> Tensor:
    """DINOv2's position embeddings for a grid, [1, height * width, C], interpolated as Meta's own code does it.

    Models without registers scale by (side + 0.1) / 37 without antialiasing, models with registers to the exact size
    with antialiasing (facebookresearch/dinov2, ``interpolate_pos_encoding`` and ``hub/backbones.py``). timm and
    transformers take the exact size for both.
    """
    table: Tensor = model.pos_embed if model.no_embed_class else model.pos_embed[:, 1:]
    side = int(table.shape[1] ** 0.5)
    if (height, width) == (side, side):
        return table
    grid = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if model.no_embed_class:
        resized = interpolate(grid, size=(height, width), mode="bicubic", antialias=True)
    else:
        scale = ((height + 0.1) / side, (width + 0.1) / side)
        resized = interpolate(grid, scale_factor=scale, mode="bicubic")
    positions: Tensor = resized.flatten(2).transpose(1, 2).to(table.dtype)
    return positions
