"""MuSc's neighbourhoods against an unfolding and a pooling, as the paper has them."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.lnamd import Lnamd
from torch.nn import functional

from adbench import UsageError


def unfolded(layer: torch.Tensor, size: int) -> torch.Tensor:
    """[B, H, W, C] from [B, H, W, C]: normed, unfolded to C r², pooled to C, at unit length."""
    batch, height, width, channels = layer.shape
    flat = layer.reshape(batch, -1).double()
    normed = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    grid = normed.view(batch, height, width, channels).permute(0, 3, 1, 2)
    columns = functional.unfold(grid, size, padding=size // 2).transpose(1, 2).reshape(batch * height * width, 1, -1)
    pooled = functional.adaptive_avg_pool1d(columns, channels).view(batch, height, width, channels)
    return pooled / pooled.norm(dim=-1, keepdim=True)


@pytest.mark.proves("musc")
def test_equal_to_unfolding_and_pooling(seen, gaussian_noise):
    layers = {"block5": gaussian_noise(2, 4, 5, 3) + 3, "block11": 10 * gaussian_noise(2, 4, 5, 6, seed=1)}
    found = Lnamd().apply(seen(layers).part(slice(2))).layers
    assert list(found) == [f"{name}-r{size}" for size in (1, 3, 5) for name in layers]
    for name, layer in layers.items():
        for size in (1, 3, 5):
            torch.testing.assert_close(found[f"{name}-r{size}"].double(), unfolded(layer, size), rtol=0, atol=1e-6)


def test_without_layers_patches_do(patch_stream, gaussian_noise):
    (batch,) = patch_stream(gaussian_noise(2, 4, 5, 3))
    found = Lnamd(sizes=3).apply(batch)
    torch.testing.assert_close(found.layers["patches-r3"].double(), unfolded(batch.patches, 3), rtol=0, atol=1e-6)
    assert found.patches is batch.patches


@pytest.mark.parametrize("sizes", [[2], [3, 4], [0], [-1]])
def test_a_neighbourhood_has_a_middle(sizes):
    with pytest.raises(UsageError, match="must be odd, so that a neighbourhood has a middle"):
        Lnamd(sizes=sizes)
