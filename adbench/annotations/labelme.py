"""Labelme's files: one JSON file beside each image."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.annotations.shapes import AnnotatedImage, Shape, inside, leads_outside, points_of, polygon, size_of
from adbench.api.untrusted import read_json
from adbench.errors import DataError, StorageError, printable

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 256 << 20
"""A file may hold its image, too."""


def read_labelme(folder: Path) -> Iterator[AnnotatedImage]:
    """The annotations of all JSON files below a folder, by path.

    Raises:
        DataError: a file cannot be read, or a shape in it cannot be drawn.
    """
    for path in sorted(folder.rglob("*.json")):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            continue
        yield _annotation(path, folder)


def read_labelme_file(path: Path) -> AnnotatedImage:
    """The annotation in one JSON file.

    Raises:
        DataError: it cannot be read, or says what cannot be drawn.
    """
    return _annotation(path, path.parent)


def _annotation(path: Path, folder: Path) -> AnnotatedImage:
    where = printable(path)
    try:
        content = read_json(path, "a file of labelme", MAX_BYTES)
        image, shapes = str(content["imagePath"]), list(content["shapes"])
        size = size_of(content["imageHeight"], content["imageWidth"], where)
    except StorageError as error:
        raise DataError(str(error)) from None
    except (TypeError, KeyError):
        raise DataError(f"{where}: is no file of labelme; keep it elsewhere, or save it again") from None
    beside = path.relative_to(folder).parent / image.replace("\\", "/").rpartition("/")[2]
    return AnnotatedImage(inside(beside.as_posix(), where), size, [_shape(shape, size, where) for shape in shapes])


def _shape(shape: Any, size: tuple[int, int], where: str) -> Shape:
    try:
        label, kind = str(shape["label"]), str(shape.get("shape_type", "polygon"))
    except (TypeError, KeyError, AttributeError):
        raise DataError(f"{where}: a shape has no label; save it again") from None
    if kind not in _KINDS:
        raise DataError(f"{where}: a {printable(kind[:30])} marks no area; draw a polygon, a rectangle or a circle")
    return Shape(
        label, _KINDS[kind](shape, size, where), leads_outside(points_of(shape.get("points"), 2, where), size, where)
    )


def _polygon(shape: Any, size: tuple[int, int], where: str) -> np.ndarray:
    return polygon(shape.get("points"), size, where)


def _rectangle(shape: Any, size: tuple[int, int], where: str) -> np.ndarray:
    (left, top), (right, bottom) = points_of(shape.get("points"), 2, where)[:2]
    return polygon([[left, top], [right, top], [right, bottom], [left, bottom]], size, where)


def _circle(shape: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """A circle from two points: its centre, and a point on its border."""
    import numpy as np

    (x, y), (edge_x, edge_y) = points_of(shape.get("points"), 2, where)[:2]
    rows, columns = np.ogrid[: size[0], : size[1]]
    within: np.ndarray = (columns - x) ** 2 + (rows - y) ** 2 <= (edge_x - x) ** 2 + (edge_y - y) ** 2
    return within


def _bitmap(shape: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """A mask from a PNG in base64; the two points give its place."""
    import numpy as np
    from PIL import Image

    (left, top), _ = points_of(shape.get("points"), 2, where)[:2]
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"], validate=True)), formats=["PNG"]) as file:
            if file.width > size[1] or file.height > size[0]:
                raise DataError(f"{where}: a mask is larger than its image; save it again")
            part = np.array(file.convert("L")) > 0
    except (TypeError, KeyError, ValueError, OSError):
        raise DataError(f"{where}: a mask is no picture; save it again") from None
    whole = np.zeros(size, dtype=bool)
    row, column = max(0, round(top)), max(0, round(left))
    target = whole[row : row + part.shape[0], column : column + part.shape[1]]
    target |= part[: target.shape[0], : target.shape[1]]
    return whole


_KINDS: dict[str, Callable[[Any, tuple[int, int], str], np.ndarray]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _bitmap,
}
"""What draws each kind of shape that marks an area."""
