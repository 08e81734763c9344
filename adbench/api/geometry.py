"""The geometry of a prepared image: the place of its pixels in the original image, and its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): a point (y, x) goes to (a y + b x + c, d y + e x + f)."""


@dataclass(frozen=True)
class Geometry:
    """The way from a prepared image back to the original: written by preprocessors, undone for maps.

    The prepared image of `size` pixels shows the rectangle `box` of the original, or of the original turned and scaled
    by `warp`. Coordinates are continuous: a pixel with index i covers [i, i+1), so that the box of the whole original
    is (0, 0, height, width). A box may reach beyond the original (padding) or show a part of it (crop).

    Attributes:
        original: height and width of the original image in pixels.
        size: height and width of the prepared image in pixels.
        box: top, left, bottom, right of what is shown, in pixels of the original.
        warp: from the turned original, in which the box lies, to the original; None where nothing was turned.
    """

    original: tuple[int, int]
    size: tuple[int, int]
    box: tuple[float, float, float, float]
    warp: Affine | None = None

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

    def warped(self, affine: Affine) -> Geometry:
        """The geometry of a turned image of the same size.

        Args:
            affine: from the turned image to the image of this geometry, in their pixels; it can be inverted.
        """
        y0, x0, y1, x1 = self.box
        out = ((y1 - y0) / self.size[0], 0.0, y0, 0.0, (x1 - x0) / self.size[1], x0)
        warp = after(after(out, affine), inverse(out))
        return replace(self, warp=warp if self.warp is None else after(self.warp, warp))

    def to_original(self, y: float, x: float) -> tuple[float, float]:
        """A point of the prepared image in coordinates of the original."""
        y0, x0, y1, x1 = self.box
        point = y0 + y * (y1 - y0) / self.size[0], x0 + x * (x1 - x0) / self.size[1]
        return point if self.warp is None else moved(self.warp, *point)


def moved(affine: Affine, y: float, x: float) -> tuple[float, float]:
    """Where a point goes."""
    a, b, c, d, e, f = affine
    return a * y + b * x + c, d * y + e * x + f


def after(second: Affine, first: Affine) -> Affine:
    """The map that applies `first` and then `second`."""
    a, b, c, d, e, f = second
    p, q, r, s, t, u = first
    return (a * p + b * s, a * q + b * t, a * r + b * u + c, d * p + e * s, d * q + e * t, d * r + e * u + f)


def inverse(affine: Affine) -> Affine:
    """The map back.

    Raises:
        ZeroDivisionError: there is none.
    """
    a, b, c, d, e, f = affine
    area = a * e - b * d
    return (e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area)


def is_invertible(affine: Affine) -> bool:
    """Whether all numbers are finite and the map back exists, with finite numbers, too."""
    a, b, _, d, e, _ = affine
    area = a * e - b * d
    return isfinite(area) and area != 0 and all(map(isfinite, (*affine, *inverse(affine))))


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
