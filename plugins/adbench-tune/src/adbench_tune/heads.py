"""Heads on a network's vectors: they serve the training alone and are thrown away after it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Classified(nn.Module):
    """A network with a classifier on its image vectors.

    Args:
        network: gives a list with the image vectors [B, D] last.
        width: D.
        hidden: widths of the hidden layers.
        classes: how many.
        generator: draws the weights of the head.
    """

    def __init__(
        self, network: nn.Module, width: int, hidden: Sequence[int], classes: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.network = network
        layers: list[nn.Module] = []
        for before, after in zip((width, *hidden), hidden, strict=False):
            layers += [linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.head = nn.Sequential(*layers, linear((width, *hidden)[-1], classes))
        start(self.head, generator)

    def forward(self, images: Tensor) -> Tensor:
        """The classes' scores [B, classes] of images [B, 3, H, W]."""
        found: Tensor = self.head(self.network(images)[-1])
        return found


class ProjectionHead(nn.Module):
    """DINO's head: three layers to a narrow vector of length one, then its cosine with each of many prototypes.

    Caron et al., 2021, https://arxiv.org/abs/2104.14294, section 3.1, without batch norms, and with the length of the
    prototypes fixed, as DINO's own code has both.

    Args:
        width: of the vectors.
        hidden: width of the hidden layers.
        bottleneck: width of the narrow vector.
        prototypes: how many.
        generator: draws the weights.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int, generator: torch.Generator) -> None:
        super().__init__()
        sides = [(width, hidden), (hidden, hidden), (hidden, bottleneck)]
        first, second, third = (linear(before, after) for before, after in sides)
        self.layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), third)
        self.prototypes = linear(bottleneck, prototypes, bias=False)
        start(self, generator)

    def forward(self, vectors: Tensor) -> Tensor:
        """The cosines [..., prototypes] of vectors [..., width]."""
        narrow = nn.functional.normalize(self.layers(vectors), dim=-1)
        return nn.functional.linear(narrow, nn.functional.normalize(self.prototypes.weight, dim=-1))


def linear(before: int, after: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer whose weights are still to be drawn; none is taken from the global generator."""
    made: nn.Linear = nn.utils.skip_init(nn.Linear, before, after, bias=bias)  # type: ignore[no-untyped-call]
    return made


@torch.no_grad()
def start(head: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all linear layers (He et al., 2015); biases begin at zero."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2 / layer.in_features) ** 0.5)
            if layer.bias is not None:
                layer.bias.zero_()
