"""A network together with the normalisation of its images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalising(nn.Module):
    """A network that takes images of 0 to 1, float32 in any layout.

    Args:
        network: takes normalised images [B, 3, H, W]; its first parameter tells the precision and the device.
        mean, std: a number for each colour.

    Attributes:
        dtype: the network's precision. Images are normalised in float32 before they are rounded to it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        first = next(network.parameters())
        self.dtype = first.dtype
        last = any(kernel.ndim == 4 and not kernel.is_contiguous() for kernel in network.parameters())
        self.layout = torch.channels_last if last else torch.contiguous_format
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, device=first.device)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        images = (images - self.mean) / self.std
        found: list[Tensor] = self.network(images.to(self.dtype, memory_format=self.layout))
        return found
