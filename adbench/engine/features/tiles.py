"""Features of images that a backbone reads tile by tile: extracted in bounded batches, joined to one patch grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.features import Batch, Features
from adbench.api.geometry import Tiling
from adbench.api.stages import Preprocessor
from adbench.engine.features.feature_batch import extract
from adbench.errors import UsageError

_PATCHES = None
"""The name of the patches among the named layers."""


def tiling_of(steps: Sequence[Preprocessor]) -> Tiling | None:
    """The tiles of a preparation; None where the backbone reads images as a whole."""
    return next((step.tiling for step in steps if step.tiling is not None), None)


class ImageReading(NamedTuple):
    """How a backbone reads prepared images.

    Attributes:
        tiling: the tiles of an image; None for whole images.
        most: images that the backbone gets at once, or tiles.
    """

    tiling: Tiling | None
    most: int

    @property
    def images(self) -> int:
        """Images in one batch of features: with tiles, one image alone fills the backbone's batches."""
        return self.most if self.tiling is None else 1

    def features(self, backbone: Backbone, batch: Batch) -> Features:
        """Features of a batch, read whole or in tiles.

        Raises:
            ContractError: the backbone breaks its contract.
            UsageError: tiles do not fit the backbone's patches.
        """
        if self.tiling is None:
            return extract(backbone, batch)
        return _extract_tiles(backbone, batch, self.tiling, self.most)


class _Tile(NamedTuple):
    """A tile: the place of its image in the batch, and its row and column among the tiles of that image."""

    image: int
    row: int
    column: int


@dataclass(frozen=True)
class _Mosaic:
    """Features of images in the making, put together from those of tiles.

    Attributes:
        joined: [B, H, W, C] so far.
        shares: for rows and for columns of tiles, the cells of the image that each gives.
        first: for rows and for columns of tiles, the first cell that each shows.
    """

    joined: Tensor
    shares: tuple[list[slice], list[slice]]
    first: tuple[list[int], list[int]]

    @classmethod
    def like(cls, found: Tensor, tiling: Tiling, batch: Batch, backbone: Backbone) -> _Mosaic:
        """A mosaic of images of which tiles have features like these [T, h, w, C]."""
        down, across = cells_of(tiling, (int(found.shape[1]), int(found.shape[2])), backbone)
        height, width = (int(side) for side in batch.images.shape[2:])
        return cls(
            found.new_empty((len(batch), height // down, width // across, found.shape[3])),
            (tiling.shares(0, height, down), tiling.shares(1, width, across)),
            (
                [start // down for start in tiling.starts(0, height)],
                [start // across for start in tiling.starts(1, width)],
            ),
        )

    def put(self, tiles: Sequence[_Tile], found: Tensor) -> None:
        """Take from features of tiles [T, h, w, C] what these give of their images."""
        for tile, one in zip(tiles, found, strict=True):
            rows, columns = self.shares[0][tile.row], self.shares[1][tile.column]
            top, left = self.first[0][tile.row], self.first[1][tile.column]
            own = one[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            self.joined[tile.image, rows, columns] = own


def cells_of(tiling: Tiling, grid: tuple[int, int], backbone: Backbone) -> tuple[int, int]:
    """Height and width in pixels of a cell of the grid of a tile.

    Raises:
        UsageError: tiles would not lie on cells of the image's grid.
    """
    rows, columns = (side // places for side, places in zip(tiling.size, grid, strict=True))
    whole = (rows * grid[0], columns * grid[1]) == tiling.size
    if not whole or tiling.multiple % rows or tiling.multiple % columns:
        size, patches = "x".join(map(str, tiling.size)), "x".join(map(str, grid))
        raise UsageError(
            f"{backbone.title} gives {patches} patches for a tile of {size} pixels, and tiles lie on multiples of"
            f" {tiling.multiple}; give the preprocessor 'tile' a 'multiple' (and so a size and an overlap) that is one"
            " of the pixels between two patches, such as 14 for DINOv2 and 32 for a ResNet"
        )
    return rows, columns


def _extract_tiles(backbone: Backbone, batch: Batch, tiling: Tiling, most: int) -> Features:
    """Patches and layers of the images of a batch. The image vectors of tiles are left out: an image has none."""
    grids: dict[str | None, _Mosaic] = {}
    twin: str | None = None
    for tiles in _groups(list(tiles_of(tiling, batch)), most):
        found = extract(backbone, cut(batch, tiles, tiling))
        twin = _same_as_patches(found)
        for name, tensor in _grids_of(found, twin).items():
            grid = grids.get(name) or _Mosaic.like(tensor, tiling, batch, backbone)
            grid.put(tiles, tensor)
            grids[name] = grid
    layers = {name: grid.joined for name, grid in grids.items() if name is not _PATCHES}
    patches = layers[twin] if twin is not None else grids[_PATCHES].joined if _PATCHES in grids else None
    return Features(batch.ids, batch.geometry, patches, layers or None)


def _same_as_patches(found: Features) -> str | None:
    """The layer that is the patches too, so that both are joined once."""
    layers = (found.layers or {}).items() if found.patches is not None else ()
    patches = found.patches
    return next((name for name, one in layers if patches is not None and one.data_ptr() == patches.data_ptr()), None)


def _grids_of(found: Features, twin: str | None) -> Mapping[str | None, Tensor]:
    """The features that lie on grids, by name."""
    named: dict[str | None, Tensor] = {}
    named.update(found.layers or {})
    if found.patches is not None and twin is None:
        named[_PATCHES] = found.patches
    return named


def tiles_of(tiling: Tiling, batch: Batch) -> Iterator[_Tile]:
    """The tiles of all images, image by image."""
    rows, columns = (range(len(tiling.starts(axis, batch.images.shape[2 + axis]))) for axis in (0, 1))
    return (_Tile(image, row, column) for image in range(len(batch)) for row in rows for column in columns)


def _groups(tiles: list[_Tile], most: int) -> Iterator[list[_Tile]]:
    return (tiles[start : start + most] for start in range(0, len(tiles), most))


def cut(batch: Batch, tiles: Sequence[_Tile], tiling: Tiling) -> Batch:
    """Some tiles of the images of a batch, as images of their own."""
    (height, width), sides = tiling.size, batch.images.shape[2:]
    tops, lefts = (tiling.starts(axis, int(side)) for axis, side in enumerate(sides))
    corners = [(tile.image, tops[tile.row], lefts[tile.column]) for tile in tiles]
    pieces = [batch.images[image, :, top : top + height, left : left + width] for image, top, left in corners]
    return Batch(
        ids=tuple(f"{batch.ids[image]}-{top}-{left}" for image, top, left in corners),
        images=torch.stack(pieces),
        geometry=tuple(batch.geometry[image].windowed(top, left, height, width) for image, top, left in corners),
    )
