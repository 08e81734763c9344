"""The outlines of what is marked in an image, as polygons: for COCO and for labelme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

LABEL = "anomaly"
_TOLERANCE = 0.25
"""Pixels by which a polygon may leave the outline: too few to lose an edge whose corners are cut by half a pixel."""


_NEIGHBOURS = np.ones((3, 3), bool)
"""Pixels that touch by an edge or a corner belong together."""


class MarkedRegion(NamedTuple):
    """One connected region of marked pixels.

    Attributes:
        polygon: [N, 2] x and y of its outer outline, in pixels; a pixel with index i covers [i, i + 1).
        box: x, y, width and height.
        area: marked pixels.
        score: the highest value of the anomaly map in it.
    """

    polygon: np.ndarray
    box: tuple[int, int, int, int]
    area: int
    score: float


def regions_of(mask: np.ndarray, scores: np.ndarray) -> list[MarkedRegion]:
    """The connected regions (8 neighbours) of a mask [H, W], the one with the highest score first.

    Args:
        mask: [H, W] bool.
        scores: [H, W], the anomaly map.
    """
    if not mask.any():
        return []  # at once: SciPy takes a fifth of a second to import
    from scipy import ndimage

    numbered, _ = ndimage.label(mask, _NEIGHBOURS)
    boxes = enumerate(ndimage.find_objects(numbered), 1)
    found = [_region(numbered[box] == number, box, scores[box]) for number, box in boxes]
    return sorted(found, key=lambda region: -region.score)


def _region(inside: np.ndarray, box: tuple[slice, slice], scores: np.ndarray) -> MarkedRegion:
    from scipy import ndimage

    height, width = inside.shape
    top, left = int(box[0].start), int(box[1].start)
    outline = _outline(ndimage.binary_fill_holes(inside, _NEIGHBOURS), top, left)
    return MarkedRegion(outline, (left, top, width, height), int(inside.sum()), float(scores[inside].max()))


def _outline(filled: np.ndarray, top: int, left: int) -> np.ndarray:
    """[N, 2] x and y around a region without holes."""
    measure: Any = import_module("skimage.measure")  # without types
    contours = measure.find_contours(np.pad(filled, 1).astype(np.float32), 0.5)
    longest = max(contours, key=len)
    polygon = simplified(longest, _TOLERANCE)[:-1]
    # The border of one pixel shifts by 1, and a centre lies half a pixel from its pixel's corner
    placed: np.ndarray = np.round(polygon[:, ::-1] - 0.5 + [left, top], 2)
    return placed


def simplified(chain: np.ndarray, tolerance: float) -> np.ndarray:
    """A chain of points with as few of them as keep the others near (Douglas and Peucker, 1973).

    scikit-image has it, too, and imports SciPy's statistics with it, which takes longer than a prediction.

    Args:
        chain: [N, 2], at least two points.
        tolerance: by how much a point that is left out may lie beside the segment in its place.

    Returns:
        [M, 2]: the first point, the last one, and some between them.
    """
    kept = np.zeros(len(chain), bool)
    kept[[0, -1]] = True
    open_parts = [(0, len(chain) - 1)]
    while open_parts:
        start, end = open_parts.pop()
        if end - start < 2:
            continue
        distances = _from_segment(chain[start + 1 : end], chain[start], chain[end])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            between = start + 1 + farthest
            kept[between] = True
            open_parts += [(start, between), (between, end)]
    return chain[kept]


def _from_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """[N] distances of points [N, 2] from the segment between two others."""
    way, there = end - start, points - start
    share = np.clip(there @ way / max(way @ way, np.finfo(float).tiny), 0, 1)
    distances: np.ndarray = np.hypot(*(there - share[:, None] * way).T)
    return distances


def labelme_of(file: str, size: tuple[int, int], regions: Sequence[MarkedRegion]) -> dict[str, Any]:
    """The JSON of labelme for one image, which labelme opens beside the image file.

    Args:
        file: the image's path, relative to the JSON file.
        size: height and width of the image.
        regions: what is marked.
    """
    return {
        "version": "5.0.1",
        "flags": {},
        "shapes": [
            {
                "label": LABEL,
                "points": region.polygon.tolist(),
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
                "description": f"score {region.score:.6g}",
            }
            for region in regions
        ],
        "imagePath": file,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    }


def coco_annotation(region: MarkedRegion, number: int, image: int) -> dict[str, Any]:
    """One region as an annotation of COCO, with its score."""
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "segmentation": [region.polygon.ravel().tolist()],
        "bbox": list(region.box),
        "area": region.area,
        "iscrowd": 0,
        "score": region.score,
    }


def coco_image(file: str, size: tuple[int, int], number: int) -> dict[str, Any]:
    """One image of COCO."""
    return {"id": number, "file_name": file, "height": size[0], "width": size[1]}


COCO_HEAD: Mapping[str, Any] = {
    "info": {"description": "regions that adbench marked"},
    "licenses": [],
    "categories": [{"id": 1, "name": LABEL, "supercategory": ""}],
}
"""What a COCO file says besides images and annotations."""
