"""The geometry of a prepared image: the place of its pixels in the original image, and its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True)
class Geometry:
    """The axis-aligned way from a prepared image back to the original: written by preprocessors, undone for maps.

    The prepared image of `size` pixels shows the rectangle `box` of the original. Coordinates are continuous: a pixel
    with index i covers [i, i+1), so that the box of the whole original is (0, 0, height, width). A box may reach
    beyond the original (padding) or show a part of it (crop).

    Attributes:
        original: height and width of the original image in pixels.
        size: height and width of the prepared image in pixels.
        box: top, left, bottom, right of what is shown, in pixels of the original.
    """

    original: tuple[int, int]
    size: tuple[int, int]
    box: tuple[float, float, float, float]

    @classmethod
    def whole(cls, height: int, width: int) -> Geometry:
        """The geometry of an image that nothing was done to."""
        return cls((height, width), (height, width), (0.0, 0.0, float(height), float(width)))

    def resized(self, height: int, width: int) -> Geometry:
        """The geometry of the same rectangle with another number of pixels."""
        return replace(self, size=(height, width))

    def windowed(self, top: int, left: int, height: int, width: int) -> Geometry:
        """A window of the prepared image, in its pixels; a crop where it lies inside, padding where it lies outside."""
        y0, x0, y1, x1 = self.box
        per_y, per_x = (y1 - y0) / self.size[0], (x1 - x0) / self.size[1]
        box = (y0 + top * per_y, x0 + left * per_x, y0 + (top + height) * per_y, x0 + (left + width) * per_x)
        return replace(self, size=(height, width), box=box)

    def to_original(self, y: float, x: float) -> tuple[float, float]:
        """A point of the prepared image in coordinates of the original."""
        y0, x0, y1, x1 = self.box
        return y0 + y * (y1 - y0) / self.size[0], x0 + x * (x1 - x0) / self.size[1]


@dataclass(frozen=True)
class Tiling:
    """The tiles of prepared images: equal pieces that a backbone reads one by one, and that make one patch grid.

    Tiles lie on multiples of `multiple` pixels, as evenly as these allow, and cover the image. Of two tiles that show
    the same patch, the one whose centre is nearer gives it.

    Attributes:
        size: height and width of a tile in pixels, multiples of `multiple`.
        overlap: pixels that neighbouring tiles share at least, a multiple of `multiple` and less than a tile.
        multiple: sides of images are multiples of so many pixels.
    """

    size: tuple[int, int]
    overlap: int
    multiple: int

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest height and width from these on that tiles cover exactly."""
        rows, columns = (
            max(least, -(-side // self.multiple) * self.multiple)
            for side, least in zip((height, width), self.size, strict=True)
        )
        return rows, columns

    def starts(self, axis: int, length: int) -> list[int]:
        """The first pixel of each tile along an axis.

        Args:
            axis: 0 for rows, 1 for columns.
            length: pixels of the image along it, as `padded` gives them.
        """
        side = self.size[axis]
        count = -(-(length - self.overlap) // (side - self.overlap))
        room = (length - side) // self.multiple
        return [place * room // max(1, count - 1) * self.multiple for place in range(count)]

    def shares(self, axis: int, length: int, cell: int) -> list[slice]:
        """The cells that each tile gives along an axis, of the image's `length / cell` cells."""
        starts, side = self.starts(axis, length), self.size[axis]
        borders = [(one + other + side + cell) // (2 * cell) for one, other in pairwise(starts)]
        return [slice(first, end) for first, end in pairwise([0, *borders, length // cell])]
