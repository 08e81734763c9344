"""The preparation step that lets a backbone read an image tile by tile, near its original resolution."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import model_validator

from adbench import Field, Geometry, Preprocessor, Tiling
from adbench.builtin.stages.preprocessors import Pixels, Size

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self


class Tile(Preprocessor):
    """Tiles: the backbone reads pieces of the image one by one, so that small defects keep their pixels.

    The patches of all tiles make the patch grid of the image, on which necks, banks and scorers work as on any other.
    Where tiles overlap, the tile whose centre is nearer gives the patch. Right and below, the image is continued by its
    own reflection until its sides are multiples of `multiple` and no less than a tile.
    """

    name = "tile"
    plain = True

    class Config(Preprocessor.Config):
        size: Size = Field(256, description="height and width of a tile; one number for both")
        overlap: int = Field(64, ge=0, le=16384, description="pixels that neighbouring tiles share at least")
        multiple: Pixels = Field(
            32, description="tiles lie on multiples of it: the pixels between two patches, such as 14 for DINOv2"
        )

        @model_validator(mode="after")
        def _whole_cells(self) -> Self:
            sides = self.sides
            if any(number % self.multiple for number in (*sides, self.overlap)):
                raise ValueError(f"size and overlap are multiples of the option 'multiple', which is {self.multiple}")
            if self.overlap >= min(sides):
                raise ValueError(f"an overlap of {self.overlap} pixels is no less than a tile; make it smaller")
            return self

        @property
        def sides(self) -> tuple[int, int]:
            """Height and width."""
            return (self.size, self.size) if isinstance(self.size, int) else self.size

    config: Config

    @cached_property
    def tiling(self) -> Tiling:
        return Tiling(self.config.sides, self.config.overlap, self.config.multiple)

    def apply(self, image: Tensor, geometry: Geometry) -> tuple[Tensor, Geometry]:
        height, width = image.shape[1:]
        rows, columns = self.tiling.padded(height, width)
        if (rows, columns) == (height, width):
            return image, geometry
        continued = image[:, _reflected(height, rows)][:, :, _reflected(width, columns)]
        return continued, geometry.windowed(0, 0, rows, columns)


def _reflected(length: int, wanted: int) -> Tensor:
    """[wanted] the pixels of a line of `length`, continued by their reflection, the edge repeated."""
    import torch

    place = torch.arange(wanted) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)
