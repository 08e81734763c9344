"""Label Studio's JSON export: a list of tasks, each an image with what people have marked on it, in percent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from adbench.annotations.brush_rle import decode
from adbench.annotations.shapes import AnnotatedImage, Shape, inside, leads_outside, points_of, polygon, size_of
from adbench.api.untrusted import read_json
from adbench.errors import DataError, StorageError, printable

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 30
_CORNERS = 72
"""Corners of the polygon that stands for an ellipse."""


def read_label_studio(path: Path) -> Iterator[AnnotatedImage]:
    """The annotations of each task, in the order of the file.

    Raises:
        DataError: the file cannot be read, an image has several annotations, or something cannot be drawn.
    """
    where = printable(path)
    try:
        tasks = read_json(path, "a file of Label Studio", MAX_BYTES)
    except StorageError as error:
        raise DataError(str(error)) from None
    if not tasks:
        raise DataError(f"{where}: holds no task; export the project again")
    for task in tasks:
        try:
            image = _image_of(task["data"], where)
            results = _results_of(task, f"{where}: {image}")
            yield _annotation(image, results, f"{where}: {image}")
        except (TypeError, ValueError, KeyError, AttributeError, IndexError):
            raise DataError(f"{where}: is no JSON export of Label Studio; export it again as JSON") from None


def _image_of(data: dict[str, Any], where: str) -> str:
    """The image of a task, relative to the folder of images.

    Label Studio serves files of a folder as ``/data/local-files/?d=PATH``, and uploads as ``/data/upload/N/HASH-NAME``.
    """
    texts = [str(value) for value in data.values() if isinstance(value, str)]
    address = str(data["image"]) if "image" in data else texts[0]
    parts = urlsplit(address)
    if parts.path.startswith("/data/local-files"):
        path = parse_qs(parts.query)["d"][0]
    elif parts.path.startswith("/data/upload/"):
        path = re.sub(r"^[0-9a-f]{8}-", "", unquote(parts.path).rpartition("/")[2])
    elif parts.scheme:
        path = unquote(parts.path).rpartition("/")[2]
    else:
        path = address
    return inside(path, where)


def _results_of(task: dict[str, Any], where: str) -> list[Any]:
    """What is marked, by the one person who marked the image."""
    finished = [one for one in task.get("annotations", []) if not one.get("was_cancelled")]
    if len(finished) > 1:
        raise DataError(f"{where} has {len(finished)} annotations; keep one of them in Label Studio")
    return list(finished[0]["result"]) if finished else []


def _annotation(image: str, results: list[Any], where: str) -> AnnotatedImage:
    areas = [result for result in results if "original_width" in result]
    sizes = {size_of(result["original_height"], result["original_width"], where) for result in areas}
    if len(sizes) > 1:
        raise DataError(f"{where} has shapes for images of several sizes; export it again")
    size = next(iter(sizes), None)
    shapes = [] if size is None else [_shape(result, size, where) for result in areas if _marks(result)]
    return AnnotatedImage(image, size, shapes)


def _marks(result: dict[str, Any]) -> bool:
    """Whether a result is a shape: a choice or a text about the whole image is none."""
    return str(result["type"]).removesuffix("labels") in {*_KINDS, "keypoint", "vector"}


def _shape(result: dict[str, Any], size: tuple[int, int], where: str) -> Shape:
    kind, value = str(result["type"]), result["value"]
    draw = _KINDS.get(kind.removesuffix("labels"))
    if draw is None:
        raise DataError(
            f"{where}: a {kind} marks no area; draw a polygon, a rectangle, an ellipse or paint with a brush"
        )
    label = str(value.get(kind, ["defect"])[0])
    mask, clipped = draw(value, size, where)
    return Shape(label, mask, clipped)


Drawn = tuple["np.ndarray", bool]
"""A mask [H, W] bool, and whether a part of the shape lies outside of the image."""


def _outline(points: list[list[float]], size: tuple[int, int], where: str) -> Drawn:
    """The polygon of points in pixels."""
    return polygon(points, size, where), leads_outside(points, size, where)


def _polygon(value: dict[str, Any], size: tuple[int, int], where: str) -> Drawn:
    points = points_of(value["points"], 3, where)
    return _outline([_pixels(x, y, size) for x, y in points], size, where)


def _rectangle(value: dict[str, Any], size: tuple[int, int], where: str) -> Drawn:
    """Turned about its upper left corner."""
    (x, y), (width, height) = _pixels(value["x"], value["y"], size), _pixels(value["width"], value["height"], size)
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    points = [_turned(dx, dy, value.get("rotation", 0), (x, y)) for dx, dy in corners]
    return _outline(points_of(points, 4, where), size, where)


def _ellipse(value: dict[str, Any], size: tuple[int, int], where: str) -> Drawn:
    """Turned about its centre."""
    centre, (across, down) = _pixels(value["x"], value["y"], size), _pixels(value["radiusX"], value["radiusY"], size)
    angles = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    points = [
        _turned(across * math.cos(angle), down * math.sin(angle), value.get("rotation", 0), centre) for angle in angles
    ]
    return _outline(points_of(points, _CORNERS, where), size, where)


def _brush(value: dict[str, Any], size: tuple[int, int], where: str) -> Drawn:
    try:
        return decode(value["rle"], size), False
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: what the brush painted cannot be read: {error}; export it again") from None


def _pixels(x: Any, y: Any, size: tuple[int, int]) -> list[float]:
    """Percent of width and height as pixels."""
    return [float(x) * size[1] / 100, float(y) * size[0] / 100]


def _turned(x: float, y: float, degrees: Any, about: tuple[float, float] | list[float]) -> list[float]:
    """A point beside `about`, turned clockwise about it."""
    angle = math.radians(float(degrees))
    return [
        about[0] + x * math.cos(angle) - y * math.sin(angle),
        about[1] + x * math.sin(angle) + y * math.cos(angle),
    ]


_KINDS: dict[str, Callable[[dict[str, Any], tuple[int, int], str], Drawn]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "brush": _brush,
}
"""What draws each kind of shape that marks an area."""
