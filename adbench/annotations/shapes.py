"""Shapes that a person has drawn on an image, and the pixels that they mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.errors import DataError, printable

if TYPE_CHECKING:
    import numpy as np

MOST_PIXELS = 1 << 28
"""Of an image."""
_FAR = 3
"""Times the image's side that a point may lie away: libraries need memory for all that lies between."""
MOST_POINTS = 1_000_000
"""Numbers in one shape; a polygon around every pixel of a border has some thousands."""


@dataclass(frozen=True)
class Shape:
    """A marked area of an image.

    Attributes:
        label: what it is, such as ``scratch``.
        mask: [H, W] bool, of the image's size.
        clipped: whether a part of it lies outside of the image, which is left out.
    """

    label: str
    mask: np.ndarray
    clipped: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """The annotation of one image, from a file or an entry.

    Attributes:
        image: the image's file, relative to the folder of images, with slashes.
        size: height and width in the annotation; None where it has none.
        shapes: what is marked; none in a normal image.
    """

    image: str
    size: tuple[int, int] | None
    shapes: Sequence[Shape]


def polygon(points: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """[H, W] bool: the pixels of a polygon and of its border; where it crosses itself, what is surrounded once.

    Args:
        points: [N, 2] x and y in pixels, at least three.
        size: height and width of the image.
        where: the place of the polygon, for messages.

    Raises:
        DataError: these are no points of a polygon.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    page, found = Image.new("1", (size[1], size[0])), points_of(points, 3, where)
    leads_outside(found, size, where)
    ImageDraw.Draw(page).polygon([(x, y) for x, y in found], fill=1, outline=1)
    return np.array(page)


def points_of(points: Any, least: int, where: str) -> list[list[float]]:
    """Points [x, y] as numbers.

    Raises:
        DataError: they are none, too few, too many or not finite.
    """
    try:
        found = [[float(x), float(y)] for x, y in points[: MOST_POINTS + 1]]
    except (TypeError, ValueError):
        raise DataError(f"{where}: a shape has no list of points [x, y]; draw it again") from None
    if not least <= len(found) <= MOST_POINTS or not all(math.isfinite(value) for point in found for value in point):
        raise DataError(f"{where}: a shape has {len(found)} points, or one that is no number; draw it again")
    return found


def leads_outside(points: list[list[float]], size: tuple[int, int], where: str) -> bool:
    """Whether a point lies more than a pixel outside of an image.

    Raises:
        DataError: a point lies too far outside of the image.
    """
    height, width = size
    if any(abs(x) > _FAR * width or abs(y) > _FAR * height for x, y in points):
        raise DataError(f"{where}: a point of a shape lies far outside of the image; draw it again")
    return any(not (-1 <= x <= width + 1 and -1 <= y <= height + 1) for x, y in points)


def size_of(height: Any, width: Any, where: str) -> tuple[int, int]:
    """Height and width, where they are those of an image.

    Raises:
        DataError: they are none.
    """
    if not all(type(side) is int and side > 0 for side in (height, width)) or height * width > MOST_PIXELS:
        raise DataError(f"{where}: the image's size, {printable(height)} x {printable(width)}, is none; save it again")
    return height, width


def inside(path: str, where: str) -> str:
    """A path that stays below the folder of images, with slashes.

    Raises:
        DataError: it is absolute, an address, or leads upwards.
    """
    parts = Path(path).parts
    if not path.isprintable() or not parts or Path(path).is_absolute() or ".." in parts or ":" in path or "\\" in path:
        raise DataError(f"{where}: {printable(path[:200])!r} is no path below the folder of images; correct it")
    return "/".join(parts)
