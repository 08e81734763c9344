"""Generators, and images with a pattern by which one knows each pixel."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def generator():
    def generator(seed=0):
        return torch.Generator().manual_seed(seed)

    return generator


@pytest.fixture
def images(generator):
    def images(count=6, side=32, seed=1):
        return torch.rand(count, 3, side, side, generator=generator(seed))

    return images
