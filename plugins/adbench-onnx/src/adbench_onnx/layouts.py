"""The layouts of outputs: the axes of channels, rows and columns, and the leading tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from adbench import UsageError

if TYPE_CHECKING:
    import numpy as np

Size = tuple[int, int]

LEADING = (0, 1, 2, 4, 5, 8, 9, 16, 17)
"""How many tokens may come before those of places: a class token, a distillation token, 4, 8 or 16 registers."""

FEWEST = 16
"""Places of an output whose tokens come last; a few numbers at the end, as detectors give, are none."""

CLEAR = 0.15
"""The least locality at which half of an image shows in half of an axis: 0 is not at all, 1 is nowhere else."""


@dataclass(frozen=True)
class Maps:
    """An output of rank 4; `channels` is the axis of its channels, 1 or 3."""

    channels: int

    def grid(self, array: Any, size: Size) -> Any:
        """The grid [B, H, W, C] of a tensor or array."""
        del size
        return array.permute(0, 2, 3, 1) if self.channels == 1 else array

    def __str__(self) -> str:
        return "maps as NCHW" if self.channels == 1 else "maps as NHWC"


@dataclass(frozen=True)
class Tokens:
    """An output of rank 3.

    Attributes:
        places: the axis of its tokens, 1 or 2.
        leading: tokens before those of places; None for all that the grid leaves over.
        rows_columns: as the user gives them, or None.
    """

    places: int = 1
    leading: int | None = 0
    rows_columns: Size | None = None

    def grid(self, array: Any, size: Size) -> Any:
        """The grid [B, H, W, C] of a tensor; a ValueError if its tokens make no grid."""
        tokens = array.transpose(1, 2) if self.places == 2 else array
        grid = self.rows_columns or (_grid(tokens.shape[1], size, (self.leading or 0,)) or (0, 0, 0))[1:]
        leading = tokens.shape[1] - grid[0] * grid[1]
        if leading < 0 or self.leading not in (None, leading):
            raise ValueError(f"{tokens.shape[1]} tokens make no grid")
        return tokens[:, leading:].reshape(len(tokens), *grid, -1)

    def __str__(self) -> str:
        leading = f" after {self.leading} leading ones" if self.leading else ""
        return f"tokens{leading}{', channels first' if self.places == 2 else ''}"


def maps_of(
    array: np.ndarray, size: Size, other: Callable[[], tuple[tuple[int, ...], Size] | None], local: Callable[[], Local]
) -> Maps | None:
    """The layout of an output [B, a, b, c] for images of a size; None if the shape does not show it.

    Args:
        array: the output.
        size: of the images.
        other: the output's shape for images of another aspect, and their size; None if the model takes none.
        local: the locality of a change of half an image, for each axis.
    """
    shape = array.shape
    exact = [axis for axis, sides in _readings(shape) if sides[0] * size[1] == sides[1] * size[0]]
    near = [axis for axis, sides in _readings(shape) if _same_aspect(sides, size)]
    for found in (near, [axis for axis in exact if axis in near]):
        if len(found) == 1:
            return Maps(found[0])
    if not near:
        return None
    again = other()
    if again is not None:
        left = [axis for axis, sides in _readings(again[0]) if _same_aspect(sides, again[1])]
        if len(left) == 1:
            return Maps(left[0])
    rows, columns = local()
    first, last = rows[2] * columns[3], rows[1] * columns[2]
    if max(first, last) < CLEAR**2 or max(first, last) < 2 * min(first, last):
        return None
    return Maps(1 if first > last else 3)


Local = tuple[dict[int, float], dict[int, float]]
"""For a change of the upper half of images, and of the left one: by axis, 0 (spread evenly) to 1 (all in one half)."""


def locality(change: np.ndarray) -> dict[int, float]:
    """The share of a change [B, a, b, c] in the first half of an axis, scaled: 0 for half of it, 1 for all of it."""
    import numpy as np

    squared = np.square(change.astype(np.float64))
    total = squared.sum() or 1.0
    halves = {axis: np.take(squared, range(squared.shape[axis] // 2), axis).sum() / total for axis in (1, 2, 3)}
    return {axis: max(0.0, float(2 * half - 1)) for axis, half in halves.items()}


def tokens_of(
    shape: tuple[int, ...],
    size: Size,
    given: tuple[int | None, Size | None],
    other: Callable[[], tuple[int, ...] | None],
) -> Tokens | None:
    """The layout of tokens in an output [B, a, b] for images of a size; None if neither axis makes a grid.

    Args:
        shape: of the output.
        size: of the images.
        given: how many tokens come before those of places, and rows and columns; None to find out.
        other: the shape for images of another aspect; None if the model takes none.
    """
    if given != (None, None):
        return Tokens(1, *given)
    found = {axis: _grid(shape[axis], size, LEADING) for axis in (1, 2)}
    able = [axis for axis, grid in found.items() if grid and (axis == 1 or grid[1] * grid[2] >= FEWEST)]
    if len(able) == 2:
        again = other()
        moved = [axis for axis in able if again and again[axis] != shape[axis]]
        usual = 1 if (found[1] or (0, 0, 0))[1] * (found[1] or (0, 0, 0))[2] >= FEWEST else 2
        able = moved if len(moved) == 1 else [usual]
    grid = found[able[0]] if able else None
    return grid and Tokens(able[0], grid[0])


def _grid(tokens: int, size: Size, leading: Iterable[int]) -> tuple[int, int, int] | None:
    """Leading tokens, rows and columns; square patches that fill the image come before those that leave a rest."""
    for rest, first in product((False, True), leading):
        for rows, columns in _cuts(size, rest=rest):
            if rows * columns == tokens - first:
                return first, rows, columns
    return None


def _cuts(size: Size, *, rest: bool) -> Iterator[Size]:
    """Rows and columns of square patches, with or without pixels that are left over."""
    for patch in range(1, min(size) + 1):
        if bool(size[0] % patch or size[1] % patch) == rest:
            yield size[0] // patch, size[1] // patch


def _readings(shape: tuple[int, ...]) -> list[tuple[int, Size]]:
    """The axis of channels, and what rows and columns would then be."""
    return [(1, (shape[2], shape[3])), (3, (shape[1], shape[2]))]


def _same_aspect(sides: Size, size: Size) -> bool:
    """Whether one stride of at least 0.9 explains rows and columns to 1.5 places, as padding may add or take."""
    least = max(whole / (side + 1.5) for side, whole in zip(sides, size, strict=True))
    most = min(whole / max(0.1, side - 1.5) for side, whole in zip(sides, size, strict=True))
    return max(0.9, least) <= most


def refuse(file: str, name: str, shape: tuple[int, ...]) -> UsageError:
    """The error for an output whose layout is unknown."""
    given = list(shape)
    if len(shape) == 4:
        way = "say where its channels are: layout=nchw or layout=nhwc"
    elif len(shape) == 3:
        way = "drop class and register tokens with strip=N, or give grid=ROWS+COLUMNS"
    else:
        way = "name outputs of rank 4 (maps) or 3 (tokens) with layers=NAME+NAME"
    what = {4: "maps whose layout the model does not show", 3: "tokens that do not make a grid"}.get(
        len(shape), f"of rank {len(shape)}"
    )
    return UsageError(f"{file}: output {name!r} is {given}, {what}; {way}")
