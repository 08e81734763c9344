"""Images of several layers for tests."""

from __future__ import annotations

import math

import pytest
import torch

from adbench import Features, FeatureStream, Geometry


class Seen(FeatureStream):
    """Several layers and an image vector of each image, a few images at a time."""

    def __init__(self, layers, image=None, name="image", batch=3):
        self.ids = tuple(f"{name} {number}" for number in range(len(next(iter(layers.values())))))
        self.layers, self.image, self.batch = layers, image, batch

    ids = ()

    def __iter__(self):
        for start in range(0, len(self.ids), self.batch):
            yield self.part(slice(start, start + self.batch))

    def part(self, which):
        return Features(
            ids=self.ids[which],
            geometry=(Geometry.whole(8, 8),) * len(self.ids[which]),
            layers={name: layer[which] for name, layer in self.layers.items()},
            image=None if self.image is None else self.image[which],
        )

    def after(self, neck):
        """The same images after a neck."""
        layers = neck.apply(self.part(slice(None))).layers
        return Seen(layers, self.image, self.ids[0].rpartition(" ")[0], self.batch)


@pytest.fixture
def seen():
    return Seen


@pytest.fixture
def waves():
    """Images of several layers without random numbers: the same figures wherever they are computed."""

    def values(*shape, start):
        steps = torch.arange(start, start + math.prod(shape), dtype=torch.float64)
        return (torch.sin(steps * steps * 0.37) + 0.5 * torch.sin(steps * 1.7)).float().reshape(shape)

    def waves(images, side, widths, start, name):
        shapes = [(images, side, side, width) for width in widths]
        layers = {f"block{i}": values(*shape, start=start + 1000 * i) for i, shape in enumerate(shapes)}
        return Seen(layers, values(images, 5, start=start + 5000), name)

    return waves
