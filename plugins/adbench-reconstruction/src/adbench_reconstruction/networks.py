"""The two autoencoder networks: convolutions for whole images, and a network for single patches."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

SLOPE = 0.2
"""Of LeakyReLU below zero."""

_STAGES = ((32, 4), (32, 4), (32, 3), (64, 4), (64, 3), (128, 4), (64, 3), (32, 3))
"""Channels and kernels of the convolutions before the code (Bergmann et al., arXiv 1807.02011, table 1); a kernel of 4
halves the grid, one of 3 keeps it."""

_SKIPPED = (0, 2, 4)
"""The convolutions whose answers skip connections add to the decoder: the last at a half, a quarter and an eighth."""

CELL = 16
"""Grids are padded to multiples of this: four convolutions halve them."""


class NetworkOutput(NamedTuple):
    """The output of a network for a batch.

    Attributes:
        reconstruction: of the batch, in its shape.
        divergence: [B] the code's divergence from a standard normal; None for an autoencoder that is not variational.
    """

    reconstruction: Tensor
    divergence: Tensor | None = None


class Coder(nn.Module):
    """The common base of both networks: the code between encoder and decoder.

    Args:
        latent: values of a code.
        variational: the encoder gives mean and log variance of the code, and training draws from them.
    """

    def __init__(self, latent: int, *, variational: bool) -> None:
        super().__init__()
        self.latent, self.variational = latent, variational

    @property
    def encoded(self) -> int:
        """The number of values that the encoder gives."""
        return 2 * self.latent if self.variational else self.latent

    def code(self, encoded: Tensor, noise: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
        """The codes [B, latent, ...] and their divergences [B]; without a generator a code is its mean."""
        if not self.variational:
            return encoded, None
        mean, log_variance = encoded.chunk(2, dim=1)
        if noise is None:
            return mean, divergence(mean, log_variance)
        drawn = torch.randn(mean.shape, generator=noise).to(mean)
        return mean + drawn * (log_variance / 2).exp(), divergence(mean, log_variance)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence [B] of N(mean, exp(log_variance)) from N(0, 1) (arXiv 1312.6114, app. B)."""
    values = 1 + log_variance - mean.square() - log_variance.exp()
    return -values.flatten(1).sum(1) / 2


class Convolutional(Coder):
    """An image to one code and back (Bergmann et al., arXiv 1807.02011, table 1), on a grid of any size.

    Args:
        channels: of the image.
        grid: height and width of the images.
        latent: values of a code.
        skip: what the encoder has at a half, a quarter and an eighth of the grid is added in the decoder.
        variational: see `Coder`.
    """

    def __init__(self, channels: int, grid: tuple[int, int], latent: int, *, skip: bool, variational: bool) -> None:
        super().__init__(latent, variational=variational)
        self.skip = skip
        self.padded = [-(-side // CELL) * CELL for side in grid]
        last = (self.padded[0] // CELL, self.padded[1] // CELL)
        widths = [channels, *(width for width, _ in _STAGES)]
        self.encoder = nn.ModuleList(
            nn.Conv2d(before, after, kernel, stride=2 if kernel == 4 else 1, padding=1)
            for before, (after, kernel) in zip(widths, _STAGES, strict=False)
        )
        self.squeeze = nn.Conv2d(widths[-1], self.encoded, last)
        self.widen = nn.ConvTranspose2d(latent, widths[-1], last)
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(after, before, kernel, stride=2 if kernel == 4 else 1, padding=1)
            for before, (after, kernel) in zip(widths, _STAGES, strict=False)
        )

    def forward(self, images: Tensor, noise: torch.Generator | None = None) -> NetworkOutput:
        """The reconstruction of images [B, C, H, W].

        Args:
            images: standardised.
            noise: draws the codes of a variational autoencoder; None takes their means.
        """
        height, width = images.shape[-2:]
        hidden = pad(images, (0, self.padded[1] - width, 0, self.padded[0] - height), mode="replicate")
        kept: list[Tensor] = []
        for layer in self.encoder:
            hidden = leaky_relu(layer(hidden), SLOPE)
            kept.append(hidden)
        code, divergences = self.code(self.squeeze(hidden), noise)
        hidden = leaky_relu(self.widen(code), SLOPE)
        for number in reversed(range(len(kept))):
            hidden = hidden + kept[number] if self.skip and number in _SKIPPED else hidden
            hidden = self.decoder[number](hidden)
            hidden = leaky_relu(hidden, SLOPE) if number else hidden
        return NetworkOutput(hidden[..., :height, :width], divergences)


class Pointwise(Coder):
    """A patch to a code and back, without its neighbours, as 1 x 1 convolutions do (DFR, arXiv 2012.07122).

    Args:
        channels: of a patch.
        latent: values of a code.
        skip: what the encoder has in its two hidden layers is added in the decoder.
        variational: see `Coder`.
    """

    def __init__(self, channels: int, latent: int, *, skip: bool, variational: bool) -> None:
        super().__init__(latent, variational=variational)
        self.skip = skip
        widths = [channels, (channels + 2 * latent) // 2, 2 * latent]
        self.encoder = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.squeeze, self.widen = nn.Linear(widths[-1], self.encoded), nn.Linear(latent, widths[-1])
        self.decoder = nn.ModuleList(nn.Linear(after, before) for before, after in pairwise(widths))

    def forward(self, patches: Tensor, noise: torch.Generator | None = None) -> NetworkOutput:
        """The reconstruction of patches [B, C]; arguments as for `Convolutional`."""
        hidden, kept = patches, []
        for layer in self.encoder:
            hidden = leaky_relu(layer(hidden), SLOPE)
            kept.append(hidden)
        code, divergences = self.code(self.squeeze(hidden), noise)
        hidden = leaky_relu(self.widen(code), SLOPE)
        for number in reversed(range(len(kept))):
            hidden = self.decoder[number](hidden + kept[number] if self.skip else hidden)
            hidden = leaky_relu(hidden, SLOPE) if number else hidden
        return NetworkOutput(hidden, divergences)


def start(network: nn.Module, generator: torch.Generator) -> None:
    """Initialise a network from the device "meta": He's weights, zero biases, on the CPU."""
    network.to_empty(device="cpu")
    gain = math.sqrt(2 / (1 + SLOPE**2))
    for name, values in network.named_parameters():
        with torch.no_grad():
            if name.endswith("bias"):
                values.zero_()
            else:
                values.normal_(0, gain / math.sqrt(_inputs(network, name)), generator=generator)


def _inputs(network: nn.Module, name: str) -> float:
    """The number of input values for one output value of a layer."""
    layer = network.get_submodule(name.rpartition(".")[0])
    weight: Tensor = layer.get_parameter("weight")
    if isinstance(layer, nn.ConvTranspose2d):
        stride = layer.stride[0] * layer.stride[1]
        spread = (
            weight[0, 0].numel() if layer.padding[0] else stride
        )  # the code is spread out: each value has its place
        return weight.shape[0] * max(1.0, spread / stride)
    return weight[0].numel()
