"""The outlines of what is marked in an image, as polygons: for COCO and for labelme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

LABEL = "anomaly"
_TOLERANCE = 0.25
"""Pixels by which a polygon may leave the outline: too few to lose an edge whose corners are cut by half a pixel."""


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
        return []  # at once: scikit-image takes half a second to import
    measure: Any = import_module("skimage.measure")  # without types
    numbered = measure.label(mask, connectivity=2)
    found = [_region(one) for one in measure.regionprops(numbered, intensity_image=scores)]
    return sorted(found, key=lambda region: -region.score)


def _region(found: Any) -> MarkedRegion:
    top, left, bottom, right = found.bbox
    box = (int(left), int(top), int(right - left), int(bottom - top))
    return MarkedRegion(_outline(found.image_filled, top, left), box, int(found.area), float(found.intensity_max))


def _outline(filled: np.ndarray, top: int, left: int) -> np.ndarray:
    """[N, 2] x and y around a region without holes."""
    measure: Any = import_module("skimage.measure")
    contours = measure.find_contours(np.pad(filled, 1).astype(np.float32), 0.5)
    longest = max(contours, key=len)
    polygon = measure.approximate_polygon(longest, _TOLERANCE)[:-1]
    # The border of one pixel shifts by 1, and a centre lies half a pixel from its pixel's corner
    placed: np.ndarray = np.round(polygon[:, ::-1] - 0.5 + [left, top], 2)
    return placed


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
