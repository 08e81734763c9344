"""Ignored pixels in an exported file: of images of one size their places are constants."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from adbench.api.features import ImageScores
from adbench.api.geometry import Geometry
from adbench.detector.export.maps import MapMaker
from adbench.engine.features.ignoring import blanked, on_grid, on_prepared
from adbench.errors import UsageError


class IgnoredPatches(NamedTuple):
    """The ignored patches of a grid.

    Attributes:
        ignored: [h, w] bool.
        kept: [N] indices of the others in the flattened grid.
        pixels: [M] indices in the flattened prepared image of the pixels of the others.
    """

    ignored: Tensor
    kept: Tensor
    pixels: Tensor

    def looked_at(self, scores: ImageScores, make: MapMaker) -> ImageScores:
        """The scores of an image [h, w] with the others alone, in one row, as an aggregator gets them.

        Args:
            scores: of all patches.
            make: the map on the prepared image.
        """
        whole = scores.patches
        assert whole is not None

        def to_map(_: Tensor) -> Tensor:
            return make(whole).flatten()[self.pixels][None]

        return replace(scores, patches=whole.flatten()[self.kept][None], to_map=to_map)


class IgnoredPixels:
    """The pixels of all images that nobody looks at.

    Args:
        pixels: [H, W] bool, of the images that the file takes.
    """

    def __init__(self, pixels: Tensor) -> None:
        self._pixels = pixels
        self._patches: dict[tuple[int, int], IgnoredPatches] = {}

    def blanked(self, image: Tensor) -> Tensor:
        """An image [3, H, W] whose ignored pixels are gray."""
        return blanked(image, self._pixels)

    def on_map(self, values: Tensor) -> Tensor:
        """A map [H, W] whose ignored pixels have the lowest value of the others."""
        others = torch.where(self._pixels, float("inf"), values)
        return torch.where(self._pixels, others.amin(), values)

    def patches(self, grid: tuple[int, int], geometry: Geometry) -> IgnoredPatches:
        """Those of a patch grid, found once, before anybody records.

        Raises:
            UsageError: all patches are ignored.
        """
        if grid not in self._patches:
            ignored = on_grid(on_prepared(self._pixels, geometry), grid)
            if ignored.all():
                raise UsageError("the ignore mask leaves no patch of the image; it cannot be exported")
            down, across = (
                torch.arange(pixels) * cells // pixels for pixels, cells in zip(geometry.size, grid, strict=True)
            )
            kept, pixels = (~ignored).flatten(), ~ignored[down][:, across].flatten()
            self._patches[grid] = IgnoredPatches(ignored, kept.nonzero()[:, 0], pixels.nonzero()[:, 0])
        return self._patches[grid]
