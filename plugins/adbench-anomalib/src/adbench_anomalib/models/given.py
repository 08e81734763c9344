"""The stand-in for a frozen encoder of anomalib: it answers with the layers of the recipe's backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn


class GivenLayers(nn.Module):
    """Layers that were computed before, in place of anomalib's `TimmFeatureExtractor`.

    Args:
        channels: of each layer.
        names: of each layer; none: the answer is a list of layers.

    Attributes:
        held: the layers [B, C, H, W] of the images that are shown next; none before the first.
        out_dims: the channels, as anomalib calls them.
    """

    def __init__(self, channels: Sequence[int], names: Sequence[str]) -> None:
        super().__init__()
        self.out_dims, self._names = list(channels), list(names)
        self.held: tuple[Tensor, ...] = tuple(torch.zeros(1, each, 1, 1) for each in channels)

    def forward(self, _images: Tensor) -> dict[str, Tensor] | list[Tensor]:
        """The layers, by name where they have names."""
        return dict(zip(self._names, self.held, strict=True)) if self._names else list(self.held)


@contextmanager
def standing_in(module: ModuleType, given: GivenLayers | None) -> Iterator[None]:
    """Build one of anomalib's networks in this block without loading or downloading weights.

    Args:
        module: of the network; its encoders are made through its name ``TimmFeatureExtractor``.
        given: takes the place of frozen encoders; None: they are made with random weights.
    """
    real: Any = module.TimmFeatureExtractor

    def made(*args: Any, requires_grad: bool = False, **options: Any) -> nn.Module:
        if given is not None and not requires_grad:
            return given
        found: nn.Module = real(*args, requires_grad=requires_grad, **{**options, "pre_trained": False})
        return found

    module.TimmFeatureExtractor = made  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.TimmFeatureExtractor = real  # type: ignore[attr-defined]


def blank(size: tuple[int, int], like: Tensor) -> Tensor:
    """Images [B, 3, H, W] that hold nothing, for networks that read no more of them than their size.

    Args:
        size: height and width.
        like: a tensor of the same batch and device.
    """
    return like.new_zeros(1, 1, 1, 1).expand(len(like), 3, *size)
