"""Masked patches: a learned vector in place of what a transformer's first layer makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from adbench import UsageError

LAYER = "patch_embed"
"""The name of the layer that makes vectors of patches, in timm and in DINO's own models."""


def patch_layer(network: nn.Module, who: str) -> nn.Module:
    """The layer of a network that makes vectors of patches.

    Raises:
        UsageError: there is none; the network is no vision transformer.
    """
    found: list[nn.Module] = [module for name, module in network.named_modules() if name.rpartition(".")[2] == LAYER]
    if not found:
        raise UsageError(f"{who} hides patches from a vision transformer, and this network is none; use 'dino'")
    return found[0]


class MaskToken(nn.Module):
    """The vector in place of masked patches.

    Args:
        width: its channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(width))

    @contextmanager
    def hiding(self, layer: nn.Module, masks: Tensor) -> Iterator[None]:
        """Put the token in place of masked patches [B, H, W] in the output of a layer, inside the block."""

        def replaced(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            return self._replaced(output, masks)

        handle = layer.register_forward_hook(replaced)
        try:
            yield
        finally:
            handle.remove()

    def _replaced(self, output: Tensor, masks: Tensor) -> Tensor:
        """The output [B, N, C], [B, H, W, C] or [B, C, H, W] of the layer with the token."""
        token = self.token.to(output.dtype)
        if output.ndim == 3:
            return torch.where(masks.flatten(1)[..., None], token, output)
        if output.shape[1:3] == masks.shape[1:]:
            return torch.where(masks[..., None], token, output)
        return torch.where(masks[:, None], token[:, None, None], output)


def token_for(network: nn.Module, image: Tensor, who: str) -> MaskToken:
    """A token for a network.

    Args:
        network: a vision transformer.
        image: [1, 3, H, W], to see how wide the vectors are.
        who: for messages.

    Raises:
        UsageError: the network is no vision transformer.
    """
    layer, seen = patch_layer(network, who), list[Tensor]()
    handle = layer.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        grid = network(image)[-2].shape[1:3]
    handle.remove()
    channels_last = seen[0].ndim == 3 or seen[0].shape[1:3] == grid
    return MaskToken(seen[0].shape[-1 if channels_last else 1])
