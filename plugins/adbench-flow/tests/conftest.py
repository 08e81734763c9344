"""Streams of layers in memory."""

from __future__ import annotations

import pytest
import torch

from adbench import Features, FeatureStream, Geometry


def features_of(layers):
    """Features with these layers [B, H, W, C]; the first one is also their patches."""
    first = next(iter(layers.values()))
    ids = tuple(f"image {number}" for number in range(len(first)))
    return Features(ids, (Geometry.whole(32, 32),) * len(ids), patches=first, layers=layers)


class LayerStream(FeatureStream):
    """A stream of one batch for each mapping of layers."""

    def __init__(self, *batches):
        self.batches = [features_of(layers) for layers in batches]

    @property
    def ids(self):
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self):
        return iter(self.batches)


@pytest.fixture
def layers():
    """Draws two layers, [N, 6, 4, 8] and [N, 3, 2, 6], of images whose vectors depend on their place."""

    def draw(images, seed=0):
        generator = torch.Generator().manual_seed(seed)
        place = torch.randn(6, 4, 8, generator=torch.Generator().manual_seed(99))
        fine = place + 0.3 * torch.randn(images, 6, 4, 8, generator=generator)
        coarse = place[::2, ::2, :6] + 0.3 * torch.randn(images, 3, 2, 6, generator=generator)
        return {"layer1": fine, "layer2": coarse}

    return draw


@pytest.fixture
def layer_stream():
    return LayerStream


@pytest.fixture
def query():
    return features_of
