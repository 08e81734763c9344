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


class NormedLayers(GivenLayers):
    """In place of anomalib's `LayerNormFeatureExtractor`, with the parts that its U-Flow reads.

    Args:
        shapes: channels, height and width of each layer, the finest first.
        scale_factors: by how much each layer is smaller than the image.
    """

    def __init__(self, shapes: Sequence[tuple[int, int, int]], scale_factors: Sequence[int]) -> None:
        super().__init__([shape[0] for shape in shapes], [])
        self.channels, self.scale_factors = list(self.out_dims), list(scale_factors)
        self.scales = range(len(shapes))
        self.feature_normalizations = nn.ModuleList(nn.LayerNorm(list(shape)) for shape in shapes)

    def forward(self, _images: Tensor | None) -> list[Tensor]:
        """The normalised layers."""
        return [norm(layer) for norm, layer in zip(self.feature_normalizations, self.held, strict=True)]


@contextmanager
def replaced(owner: Any, **parts: Any) -> Iterator[None]:
    """Let a module or class of anomalib's have other parts inside this block.

    Args:
        owner: the module or class.
        **parts: by the names that they replace.
    """
    real = {name: vars(owner)[name] for name in parts}
    for name, part in parts.items():
        setattr(owner, name, part)
    try:
        yield
    finally:
        for name, part in real.items():
            setattr(owner, name, part)


@contextmanager
def standing_in(module: ModuleType, given: GivenLayers | None) -> Iterator[None]:
    """Build one of anomalib's networks in this block without loading or downloading weights.

    Args:
        module: of the network; its encoders are made through its name ``TimmFeatureExtractor``.
        given: takes the place of frozen encoders; None: they are made with random weights.
    """
    real: Any = vars(module)["TimmFeatureExtractor"]

    def made(*args: Any, requires_grad: bool = False, **options: Any) -> nn.Module:
        if given is not None and not requires_grad:
            return given
        found: nn.Module = real(*args, requires_grad=requires_grad, **{**options, "pre_trained": False})
        return found

    with replaced(module, TimmFeatureExtractor=made):
        yield


def blank(size: tuple[int, int], like: Tensor) -> Tensor:
    """Images [B, 3, H, W] that hold nothing, for networks that read no more of them than their size.

    Args:
        size: height and width.
        like: a tensor of the same batch and device.
    """
    return like.new_zeros(1, 1, 1, 1).expand(len(like), 3, *size)
