"""The loss that an autoencoder learns by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from adbench_reconstruction.corruption import Corruption, corrupted
from adbench_reconstruction.ssim import mean_similarity

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_reconstruction.networks import NetworkOutput
    from adbench_reconstruction.pool import Pool

Loss = Literal["l2", "ssim"]

WINDOW, SPAN = 11, 1.0
"""Of the SSIM that is learned by: that of pixels from 0 to 1."""


@dataclass(frozen=True)
class Objective:
    """The options of the loss.

    Attributes:
        loss: ``"l2"``: the mean squared error of standardised values; ``"ssim"``: the mean of 1 - SSIM of raw ones.
        beta: weight of the code's divergence; with 1, ``"l2"`` and noise of one standard deviation it is the negative
            evidence lower bound, a value.
        corrupt: the corruption of the input, which the network learns to undo.
        precision: in which layers compute; losses and weights are in single precision.
    """

    loss: Loss
    beta: float
    corrupt: Corruption
    precision: Literal["float32", "bfloat16"]


class ReconstructionLoss:
    """The loss of a network on examples of a pool.

    Args:
        network: on its device.
        pool: what it learns from.
        objective: the options.
    """

    def __init__(self, network: nn.Module, pool: Pool, objective: Objective) -> None:
        self._network, self._pool, self._objective = network, pool, objective
        self._device = next(network.parameters()).device
        self._mean, self._std = (self._shaped(figures) for figures in (pool.mean, pool.std))

    def __call__(self, chosen: Tensor, noise: torch.Generator) -> Tensor:
        """The loss of the examples with these indices [B]."""
        clean = self._standardised(chosen)
        shown = corrupted(clean, self._objective.corrupt, noise)
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=self._objective.precision == "bfloat16"):
            output = self._network(shown, noise)
        return self._loss(clean, output)

    def _loss(self, clean: Tensor, output: NetworkOutput) -> Tensor:
        reconstruction = output.reconstruction.float()
        if self._objective.loss == "l2":
            loss = (reconstruction - clean).square().mean()
        else:
            wanted, found = (grids * self._std + self._mean for grids in (clean, reconstruction))
            loss = 1 - mean_similarity(wanted, found, window=WINDOW, span=SPAN)
        if output.divergence is not None:
            loss = loss + self._objective.beta * 2 * output.divergence.float().mean() / clean[0].numel()
        return loss

    def _standardised(self, chosen: Tensor) -> Tensor:
        batch = (self._pool.examples[chosen].to(self._device) - self._mean) / self._std
        return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch

    def _shaped(self, figures: Tensor) -> Tensor:
        """A vector [C] in the shape of examples [C, H, W] or [C]."""
        return figures.to(self._device).reshape(-1, *[1] * (self._pool.examples.ndim - 2))
