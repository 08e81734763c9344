"""Values from 0 to 1, as pixels have."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def draw():
    def draw(*shape, seed=0):
        return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))

    return draw
