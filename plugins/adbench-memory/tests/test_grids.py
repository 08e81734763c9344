"""Patches or layers, side by side on one grid."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.grids import layer_slices, side_by_side

from adbench import ContractError


def test_patches_are_one_layer(patch_stream, gaussian_noise):
    (batch,) = patch_stream(gaussian_noise(2, 3, 4, 5))
    grid, widths = side_by_side(batch, "patches", "it")
    torch.testing.assert_close(grid, batch.patches)
    assert widths == (5,)


def test_layers_keep_their_order_and_are_told_apart_again(seen, gaussian_noise):
    layers = {"fine": gaussian_noise(2, 4, 6, 3), "other": gaussian_noise(2, 4, 6, 2, seed=1)}
    grid, widths = side_by_side(seen(layers).part(slice(2)), "layers", "it")
    for channels, layer in zip(layer_slices(widths), layers.values(), strict=True):
        torch.testing.assert_close(grid[..., channels], layer, rtol=0, atol=0)


def test_a_coarse_layer_is_enlarged(seen):
    ramp = torch.tensor([0.0, 4.0]).view(1, 1, 2, 1).expand(1, 2, 2, 1)
    grid, widths = side_by_side(seen({"coarse": ramp, "fine": torch.zeros(1, 4, 4, 2)}).part(slice(1)), "layers", "it")
    assert widths == (1, 2)
    assert grid[0, :, :, 0].tolist() == [[0, 1, 3, 4]] * 4  # halfway between the middles of two places: 1 and 3 of 4


@pytest.mark.parametrize(("reads", "message"), [("patches", "it reads patches"), ("layers", "it reads layers")])
def test_what_is_not_there_is_missed(patch_stream, seen, gaussian_noise, reads, message):
    batch = next(
        iter(
            patch_stream(gaussian_noise(1, 2, 2, 3)) if reads == "layers" else seen({"one": gaussian_noise(1, 2, 2, 3)})
        )
    )
    with pytest.raises(ContractError, match=f"bank 'x' broke its contract: {message}"):
        side_by_side(batch, reads, "bank 'x'")
