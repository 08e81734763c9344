"""Plants defects into gray tiles, for the demo. Integers alone, so that every machine draws the same pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

_FULL = 256
"""Opacity runs from 0 to this."""

_FAINTEST = 24
"""Opacity below this counts as none, so that no invisible rim becomes truth."""

_DIRECTIONS = (
    *((16, 0), (15, 6), (11, 11), (6, 15), (0, 16), (-6, 15), (-11, 11), (-15, 6)),
    *((-16, 0), (-15, -6), (-11, -11), (-6, -15), (0, -16), (6, -15), (11, -11), (15, -6)),
)
"""Sixteen directions of about equal length."""


class Dice:
    """Random integers that depend on a name alone; NumPy promises these raw bits for all versions and machines."""

    def __init__(self, name: str) -> None:
        import numpy as np

        self._bits = np.random.PCG64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big"))

    def between(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both possible."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def order(self, count: int) -> list[int]:
        """The numbers from 0 to `count` - 1 in a random order (Fisher and Yates)."""
        numbers = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.between(0, last)
            numbers[last], numbers[other] = numbers[other], numbers[last]
        return numbers


class Scene(NamedTuple):
    """The material of a defect: gray values [H, W] of the tile and of another material, and a generator."""

    tile: np.ndarray
    foreign: np.ndarray
    dice: Dice


class Paint(NamedTuple):
    """The paint of a defect on a tile: gray values [H, W] and their opacity [H, W], 0 to 256."""

    colour: np.ndarray
    opacity: np.ndarray


def plant(defect: str, tile: np.ndarray, foreign: np.ndarray, dice: Dice) -> tuple[np.ndarray, np.ndarray]:
    """A tile with one defect.

    Args:
        defect: one of `DEFECTS`.
        tile: [H, W] uint8.
        foreign: [H, W] uint8 of another material.
        dice: decides shape and place.

    Returns:
        The changed tile [H, W] uint8, and [H, W] bool: exactly the pixels that changed.
    """
    import numpy as np

    old = tile.astype(np.int64)
    colour, opacity = DEFECTS[defect](Scene(old, foreign.astype(np.int64), dice))
    mask = opacity >= _FAINTEST
    new = (old + (colour - old) * opacity // _FULL).clip(0, 255)
    unchanged = mask & (new == old)
    new[unchanged] += np.where(old[unchanged] < 128, 1, -1)
    return np.where(mask, new, old).astype(np.uint8), mask


def _scratch(scene: Scene) -> Paint:
    """A thin, bright, nearly straight line."""
    path = _walk(scene.dice, steps=scene.dice.between(3, 5), bend=0)
    line = _stroke(scene.tile.shape, path, width=scene.dice.between(2, 3))
    return Paint(scene.tile + scene.dice.between(90, 130), _inked(line))


def _hole(scene: Scene) -> Paint:
    """A small dark pit with a hard edge."""
    pit = _blob(scene.tile.shape, scene.dice, scene.dice.between(6, 9))
    return Paint(scene.tile * scene.dice.between(10, 30) // 100, _blurred(pit, 1))


def _stain(scene: Scene) -> Paint:
    """Something spilt: darker, with a soft edge, the texture shining through."""
    spill = _blob(scene.tile.shape, scene.dice, scene.dice.between(9, 14))
    return Paint(scene.tile * scene.dice.between(35, 50) // 100, _blurred(_blurred(spill, 2) > _FULL // 2, 3))


def _crack(scene: Scene) -> Paint:
    """A jagged dark line with a branch."""
    path = _walk(scene.dice, steps=scene.dice.between(6, 9), bend=2)
    branch = _walk(scene.dice, steps=3, bend=2, start=path[len(path) // 2])
    line = _stroke(scene.tile.shape, path, width=3) | _stroke(scene.tile.shape, branch, width=2)
    return Paint(scene.tile * scene.dice.between(10, 30) // 100, _inked(line))


def _foreign(scene: Scene) -> Paint:
    """Another material of the same brightness."""
    place = _blob(scene.tile.shape, scene.dice, scene.dice.between(8, 12))
    same = int(scene.tile.sum() - scene.foreign.sum()) // scene.tile.size
    return Paint(scene.foreign + same, _blurred(place, 1))


DEFECTS = {"crack": _crack, "foreign": _foreign, "hole": _hole, "scratch": _scratch, "stain": _stain}
"""The five kinds, and what paints them."""

Point = tuple[int, int]


def _walk(dice: Dice, steps: int, bend: int, start: Point | None = None) -> list[Point]:
    """Points of a path through the tile; at each one it turns by up to `bend` sixteenths of a circle."""
    y, x = start or (dice.between(32, 96), dice.between(32, 96))
    heading = dice.between(0, 15)
    points = [(y, x)]
    for _ in range(steps):
        heading += dice.between(-bend, bend)
        dy, dx = _DIRECTIONS[heading % 16]
        length = dice.between(6, 12)
        y, x = y + dy * length // 16, x + dx * length // 16
        points.append((y, x))
    return points


def _stroke(shape: Sequence[int], points: Sequence[Point], width: int) -> np.ndarray:
    """Bool: the pixels within half of `width` of a path."""
    import numpy as np

    y, x = np.mgrid[: shape[0], : shape[1]]
    drawn = np.zeros(tuple(shape), bool)
    for (y0, x0), (y1, x1) in pairwise(points):
        dy, dx = y1 - y0, x1 - x0
        along, across = (y - y0) * dy + (x - x0) * dx, (y - y0) * dx - (x - x0) * dy
        square = dy * dy + dx * dx
        drawn |= (along >= 0) & (along <= square) & (4 * across * across <= width * width * square)
    return drawn


def _blob(shape: Sequence[int], dice: Dice, radius: int) -> np.ndarray:
    """Bool: an irregular spot, the union of some discs around one place away from the border."""
    import numpy as np

    y, x = np.mgrid[: shape[0], : shape[1]]
    margin = 2 * radius + 4
    centre_y, centre_x = (dice.between(margin, side - margin) for side in shape)
    spot = np.zeros(tuple(shape), bool)
    for _ in range(7):
        down, across = (dice.between(-radius * 3 // 4, radius * 3 // 4) for _ in range(2))
        reach = dice.between(radius // 2, radius)
        spot |= (y - centre_y - down) ** 2 + (x - centre_x - across) ** 2 <= reach * reach
    return spot


def _inked(line: np.ndarray) -> np.ndarray:
    """Opacity of a thin line: full along its middle, soft at its sides."""
    import numpy as np

    opacity: np.ndarray = np.minimum(_blurred(line, 1) * 2, _FULL)
    return opacity


def _blurred(shape: np.ndarray, radius: int) -> np.ndarray:
    """Opacity [H, W], 0 to 256: a bool shape averaged over squares of ``2 * radius + 1`` pixels."""
    import numpy as np

    side = 2 * radius + 1
    padded = np.pad(shape.astype(np.int64) * _FULL, radius)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    opacity: np.ndarray = windows.sum(axis=(2, 3)) // (side * side)
    return opacity
