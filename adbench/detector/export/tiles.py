"""Tiles in an exported file: one batch for the backbone, whose grids are put side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.features import Batch, Features
from adbench.api.geometry import Tiling
from adbench.engine.features.tiles import cells_of, cut, tiles_of


def tiled_features(backbone: Backbone, batch: Batch, tiling: Tiling) -> Features:
    """Features of images that a backbone reads in tiles, as tensor operations alone.

    A run fills one grid after the other in place, which saves memory, and which an exporter does not record.

    Raises:
        UsageError: tiles do not fit the backbone's patches.
    """
    found = backbone.extract(cut(batch, list(tiles_of(tiling, batch)), tiling))
    layers = {name: _joined(grids, backbone, batch, tiling) for name, grids in (found.layers or {}).items()}
    patches = None if found.patches is None else _joined(found.patches, backbone, batch, tiling)
    return Features(batch.ids, batch.geometry, patches, layers or None)


def _joined(grids: Tensor, backbone: Backbone, batch: Batch, tiling: Tiling) -> Tensor:
    """Grids of images [B, H, W, C] from those of their tiles [T, h, w, C], image by image, row by row."""
    grid = (int(grids.shape[1]), int(grids.shape[2]))
    rows, columns = (
        _shown(tiling, axis, int(batch.images.shape[2 + axis]), cell)
        for axis, cell in enumerate(cells_of(tiling, grid, backbone))
    )
    tiles = iter(grids.unbind(0))
    return torch.stack(
        [
            torch.cat([torch.cat([next(tiles)[row, column] for column in columns], dim=1) for row in rows], dim=0)
            for _ in range(len(batch))
        ]
    )


def _shown(tiling: Tiling, axis: int, pixels: int, cell: int) -> list[slice]:
    """The cells of each tile that stand in the image's grid, along one axis."""
    firsts = [start // cell for start in tiling.starts(axis, pixels)]
    shares = tiling.shares(axis, pixels, cell)
    return [slice(share.start - first, share.stop - first) for share, first in zip(shares, firsts, strict=True)]
