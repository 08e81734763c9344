"""The forward pass of CLIP's vision transformer: from normalised images to image vectors, patches, windows and blocks.

Windows are WinCLIP's (arXiv 2303.14814, section 4.2): after position embedding, the class token and the tokens of one
window alone go through the transformer, and the class token's embedding is the window's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

AT_ONCE = 128
"""Windows of an image that go through the transformer together: it bounds the memory, whatever the grid."""


@dataclass(frozen=True)
class VisionOutputs:
    """The outputs that a backbone asks of the vision transformer.

    Attributes:
        patches: ``"raw"``, ``"normed"`` or ``"text"``: the last block's tokens as they are, after the final norm, or
            projected into the space of text as well.
        value: whether the last block's patches take its value path.
        windows: sides of windows in patches.
        blocks, projected: blocks whose tokens are given as they are, and projected into the space of text.
    """

    patches: str = "normed"
    value: bool = False
    windows: tuple[int, ...] = ()
    blocks: tuple[int, ...] = ()
    projected: tuple[int, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the layers, in the order in which `VisionNetwork` gives them."""
        return [
            *(f"block{index}" for index in self.blocks),
            *(f"text{index}" for index in self.projected),
            *(f"window{side}" for side in self.windows),
        ]


class VisionNetwork(nn.Module):
    """A vision transformer of open_clip and its outputs, as one network.

    It gives the image vectors [B, D] (the class token in the space of text, as ``encode_image`` does, not normalised),
    the patches [B, H, W, C], then the layers asked for; always as float32.
    """

    def __init__(self, visual: Any, outputs: VisionOutputs) -> None:
        super().__init__()
        self.visual, self.outputs = visual, outputs
        for side in outputs.windows:
            self.register_buffer(f"window{side}", window_tokens(visual.grid_size, side), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        tokens = embedded(self.visual, images)
        image, blocks = self._blocks(tokens)
        last = blocks[len(self.visual.transformer.resblocks) - 1]
        found = [
            self._grid(
                {"raw": identity, "normed": self.visual.ln_post, "text": self._projected}[self.outputs.patches](last)
            ),
            *(self._grid(blocks[index]) for index in self.outputs.blocks),
            *(self._grid(self._projected(blocks[index])) for index in self.outputs.projected),
            *(self._windows(tokens, side) for side in self.outputs.windows),
        ]
        return [tensor.float() for tensor in (image, *found)]

    def _blocks(self, tokens: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """The image vectors, and the patch tokens behind each block that is asked for and behind the last one."""
        resblocks = self.visual.transformer.resblocks
        chosen = {*self.outputs.blocks, *self.outputs.projected, len(resblocks) - 1}
        found = {}
        for index, block in enumerate(resblocks):
            by_value = value_path(block, tokens) if self.outputs.value and index == len(resblocks) - 1 else None
            tokens = run_block(block, tokens)
            if index in chosen:
                found[index] = (tokens if by_value is None else by_value)[:, 1:]
        return self._projected(tokens[:, 0]), found

    def _projected(self, tokens: Tensor) -> Tensor:
        projected: Tensor = self.visual.ln_post(tokens) @ self.visual.proj
        return projected

    def _grid(self, tokens: Tensor) -> Tensor:
        height, width = self.visual.grid_size
        return tokens.reshape(tokens.shape[0], height, width, tokens.shape[2])

    def _windows(self, tokens: Tensor, side: int) -> Tensor:
        """[B, H - side + 1, W - side + 1, D]: the embedding of each window."""
        parts = [self._some_windows(tokens, some) for some in torch.split(getattr(self, f"window{side}"), AT_ONCE)]
        height, width = self.visual.grid_size
        found = torch.cat(parts, dim=1)
        return found.reshape(found.shape[0], height - side + 1, width - side + 1, found.shape[2])

    def _some_windows(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """[B, M, D] for the tokens [M, T] of M windows."""
        batch, (count, length), width = tokens.shape[0], chosen.shape, tokens.shape[2]
        masked = tokens[:, chosen.flatten()].reshape(batch * count, length, width)
        for block in self.visual.transformer.resblocks:
            masked = run_block(block, masked)
        embeddings = self._projected(masked[:, 0])
        return embeddings.reshape(batch, count, embeddings.shape[1])


def identity(tokens: Tensor) -> Tensor:
    """The identity function: the tokens as they are."""
    return tokens


def embedded(visual: Any, images: Tensor) -> Tensor:
    """[B, 1 + H W, C]: class and patch tokens with their positions, as they go into the first block."""
    patches = visual.conv1(images).flatten(2).transpose(1, 2)
    cls = visual.class_embedding.expand(patches.shape[0], 1, -1)
    tokens: Tensor = visual.ln_pre(torch.cat([cls, patches], dim=1) + visual.positional_embedding)
    return tokens


def run_block(block: Any, tokens: Tensor) -> Tensor:
    """The block as open_clip computes it, [B, L, C] from [B, L, C].

    The attention of plain blocks is spelled out: the fused kernel of ``nn.MultiheadAttention`` cannot be exported.
    """
    attention = block.attn
    if not isinstance(attention, nn.MultiheadAttention):
        found: Tensor = block(tokens)
        return found
    batch, length, width = tokens.shape
    joint = linear(block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias)
    heads = joint.reshape(batch, length, 3, attention.num_heads, width // attention.num_heads).permute(2, 0, 3, 1, 4)
    mixed = scaled_dot_product_attention(heads[0], heads[1], heads[2])
    return _finished(block, tokens, mixed.transpose(1, 2).reshape(batch, length, width))


def value_path(block: Any, tokens: Tensor) -> Tensor:
    """The block with each token attending to itself alone: its own value replaces the mixture of all values.

    MaskCLIP (Zhou et al., arXiv 2112.01071, section 3.2; the authors' code keeps residual and MLP, as here).
    """
    attention = block.attn
    joint = linear(block.ln_1(tokens), attention.in_proj_weight, attention.in_proj_bias)
    return _finished(block, tokens, joint[..., 2 * tokens.shape[-1] :])


def _finished(block: Any, tokens: Tensor, values: Tensor) -> Tensor:
    """The output of a block from its tokens and the values that attention gave each of them."""
    attended = tokens + block.ls_1(block.attn.out_proj(values))
    found: Tensor = attended + block.ls_2(block.mlp(block.ln_2(attended)))
    return found


def window_tokens(grid: Sequence[int], side: int) -> Tensor:
    """[M, 1 + side²] int64: for each window, row by row, the class token (0) and the window's patches (from 1)."""
    height, width = grid
    places = torch.arange(1, height * width + 1).reshape(height, width)
    windows = places.unfold(0, side, 1).unfold(1, side, 1).reshape(-1, side * side)
    return torch.cat([torch.zeros(len(windows), 1, dtype=torch.int64), windows], dim=1)
