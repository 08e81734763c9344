"""A small network with the parts that tuners look for, and images for them; the same ones every time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adbench import Backbone, Batch, Context, Features, Weights
from adbench.testing.toy_data import image_batch
from adbench.training import BatchStream, Trainable

SIDE, CELL, WIDTH = 32, 8, 16
"""Side of the toy images and of a patch in pixels, and channels."""


class ToyPatchNetwork(nn.Module):
    """Patches of 8 x 8 pixels as vectors, two blocks that mix neighbours, and the mean as the image vector."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, WIDTH, CELL, CELL)
        self.blocks = nn.ModuleList(_Block() for _ in range(2))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps [B, H, W, C] of both blocks, and the mean of the last one [B, C]."""
        grid, maps = self.patch_embed(images), []
        for block in self.blocks:
            grid = block(grid)
            maps.append(grid.permute(0, 2, 3, 1))
        return [*maps, maps[-1].mean(dim=(1, 2))]


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.norm = nn.BatchNorm2d(WIDTH)

    def forward(self, grid: Tensor) -> Tensor:
        found: Tensor = grid + torch.relu(self.norm(self.mix(grid)))
        return found


def toy_trainable(device: str = "cpu") -> Trainable:
    """The toy network with random weights, the same ones every time."""
    generator = torch.Generator().manual_seed(11)
    with torch.random.fork_rng(devices=[]):
        network = ToyPatchNetwork()
    with torch.no_grad():
        for one in network.parameters():
            fan = one[0].numel() if one.ndim > 1 else len(one)
            one.copy_(torch.randn(one.shape, generator=generator) / fan**0.5)
    network = network.to(device).eval().requires_grad_(requires_grad=False)
    return Trainable(network, tuple(network.blocks))


class ToyBatches(BatchStream):
    """Prepared images in memory, four a batch.

    Args:
        batch: all images.
    """

    def __init__(self, batch: Batch | None = None) -> None:
        self.batch = image_batch(SIDE, SIDE, 10) if batch is None else batch

    @property
    def ids(self) -> Sequence[str]:
        return self.batch.ids

    def __iter__(self) -> Iterator[Batch]:
        whole = self.batch
        for start in range(0, len(whole), 4):
            part = slice(start, start + 4)
            yield Batch(whole.ids[part], whole.images[part], whole.geometry[part])

    def renamed(self, ids: Sequence[str]) -> ToyBatches:
        """The same images under other names."""
        return ToyBatches(replace(self.batch, ids=tuple(ids)))


class ToyTunable(Backbone):
    """A backbone that is the toy network, for tests of tuners."""

    name: ClassVar[str] = "toy-tunable"
    tunable: ClassVar[bool] = True

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"preprocess": [{"resize": {"size": [SIDE, SIDE]}}]}

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device
        self._network = toy_trainable(ctx.device).network
        self._weights = Weights("toy", "0" * 64)

    def extract(self, batch: Batch) -> Features:
        with torch.no_grad():
            *maps, image = self._network(batch.images.to(self._device))
        return Features(batch.ids, batch.geometry, patches=maps[-1], image=image)

    def weights(self) -> tuple[Weights, ...]:
        return (self._weights,)

    def trainable(self) -> Trainable:
        return toy_trainable(self._device)

    def take(self, state: Mapping[str, Tensor], weights: Weights) -> None:
        self._network.load_state_dict(dict(state))
        self._weights = weights
