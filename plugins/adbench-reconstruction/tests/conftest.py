"""A stream of features that a test writes down."""

from __future__ import annotations

import pytest
import torch

from adbench import Features, FeatureStream, Geometry


class Given(FeatureStream):
    """One batch for each grid of patches [B, H, W, C]."""

    def __init__(self, *grids):
        self.batches, count = [], 0
        for grid in grids:
            ids = tuple(f"image {count + index}" for index in range(len(grid)))
            self.batches.append(Features(ids=ids, geometry=(Geometry.whole(32, 48),) * len(ids), patches=grid))
            count += len(grid)

    @property
    def ids(self):
        return tuple(name for batch in self.batches for name in batch.ids)

    def __iter__(self):
        return iter(self.batches)


@pytest.fixture
def given():
    return Given


@pytest.fixture
def draw():
    def draw(*shape, seed=0):
        return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))

    return draw
