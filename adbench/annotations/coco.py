"""COCO's file: all images, all annotations and their classes in one JSON file. pycocotools draws them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.annotations.shapes import AnnotatedImage, Shape, inside, leads_outside, points_of, size_of
from adbench.api.untrusted import read_json
from adbench.errors import DataError, StorageError, UsageError, printable

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 30


def read_coco(path: Path) -> Iterator[AnnotatedImage]:
    """The annotations of each image, in the order of the file.

    Raises:
        DataError: the file cannot be read, or a shape in it cannot be drawn.
        UsageError: pycocotools is missing.
    """
    where = printable(path)
    try:
        content = read_json(path, "a file of COCO", MAX_BYTES)
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        entries: dict[Any, list[Any]] = {image["id"]: [] for image in content["images"]}
        for entry in content["annotations"]:
            entries[entry["image_id"]].append(entry)
        for image in content["images"]:
            yield _annotation(image, entries[image["id"]], names, where)
    except StorageError as error:
        raise DataError(str(error)) from None
    except (TypeError, KeyError) as error:
        raise DataError(f"{where}: is no file of COCO: {printable(error)} is missing; export it again") from None


def _annotation(image: Any, entries: list[Any], names: dict[Any, str], where: str) -> AnnotatedImage:
    size = size_of(image["height"], image["width"], where)
    shapes = [_shape(entry, names[entry["category_id"]], size, where) for entry in entries]
    return AnnotatedImage(inside(str(image["file_name"]), where), size, shapes)


def _shape(entry: Any, label: str, size: tuple[int, int], where: str) -> Shape:
    outline = entry["segmentation"]
    clipped = isinstance(outline, list) and any(leads_outside(_pairs(part, where), size, where) for part in outline)
    return Shape(label, _drawn(outline, size, where), clipped)


def _pairs(part: Any, where: str) -> list[list[float]]:
    """A polygon's points, which COCO writes as x, y, x, y and so on."""
    if not isinstance(part, list) or len(part) % 2:
        raise DataError(f"{where}: a polygon is no list of x, y, x, y and so on; export it again")
    return points_of(list(zip(part[::2], part[1::2], strict=True)), 3, where)


def _drawn(outline: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """[H, W] bool: polygons, or run lengths."""
    try:
        from pycocotools import mask
    except ImportError:
        raise UsageError("COCO's masks need pycocotools; run 'pip install adbench-core[annotations]'") from None
    if isinstance(outline, list):
        outline = [[value for pair in _pairs(part, where) for value in pair] for part in outline]
        if not outline:
            raise DataError(f"{where}: an annotation has no outline, only a box; draw its outline")
    else:
        _require_runs(outline, size, where)
    try:
        runs = mask.frPyObjects(outline, *size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy 2, about what pycocotools does inside
            drawn: np.ndarray = mask.decode(mask.merge(runs) if isinstance(runs, list) else runs).astype(bool)
    except (TypeError, ValueError, KeyError):
        raise DataError(f"{where}: run lengths cannot be read; export it again") from None
    return drawn


def _require_runs(outline: Any, size: tuple[int, int], where: str) -> None:
    """Raise `DataError` unless run lengths fill the image exactly: pycocotools would write beyond it."""
    counts = outline["counts"]
    whole = isinstance(counts, list) and all(type(count) is int and count >= 0 for count in counts)
    if not whole or sum(counts) != size[0] * size[1] or list(outline["size"]) != list(size):
        raise DataError(
            f"{where}: run lengths do not fill an image of {size[0]} x {size[1]}, or are packed; export polygons or"
            " unpacked run lengths"
        )
