"""The pose of the object in an image: centre, angle, size, and which way round it lies."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

WORKING = 512
"""Pixels of the longer side at which an outline is searched; larger images are shrunk."""

WEAK, STRONG = 0.02, 0.05
"""Canny's thresholds; low ones, as an object may be as dark as its ground in places."""

GAP, THIN = 5, 3
"""Pixels at `WORKING` by which outlines are closed, and from which on a part of an object is no mere line."""

LEAST, MOST = 0.05, 0.8
"""Shares of the image that an object covers."""

SOLID = 0.85
"""Least share of its convex hull that an object fills; less has an outline that is not closed."""

TOUCHED = 2
"""Sides of the image that an object may touch; what touches more is a texture or the ground."""

CLEAR = 0.02
"""Skewness of the outline's area from which on it is clear which way round the object lies."""


class Pose(NamedTuple):
    """The pose of an object. Coordinates are continuous: a pixel with index i covers [i, i+1).

    Attributes:
        y, x: its centre of gravity.
        angle: of its first axis in radians, from the x axis towards the y axis, from -pi to pi.
        spread: standard deviation of its area along the first axis in pixels.
        elongation: the variance along the first axis by that along the second.
        mirrored: whether its heavier side lies on the other side of the first axis; False where that is not clear.
    """

    y: float
    x: float
    angle: float
    spread: float
    elongation: float
    mirrored: bool


def pose_of(luminance: np.ndarray, sigma: float) -> Pose | None:
    """The pose of the object in an image; None where no single object stands out.

    Canny's edges are closed and filled; the largest region is the object. The principal axes of the area inside its
    outline give angle and spread. The third moments along them decide which way round it lies.

    Args:
        luminance: [H, W] float from 0 to 1.
        sigma: standard deviation of the Gaussian before Canny's edges, in pixels of an image of at most `WORKING`.
    """
    shrunk = _shrunk(luminance)
    region = _object(shrunk, sigma)
    if region is None:
        return None
    per = [whole / part for whole, part in zip(luminance.shape, shrunk.shape, strict=True)]
    return _pose((region.coords + 0.5) * per)


def _shrunk(luminance: np.ndarray) -> np.ndarray:
    from skimage.transform import rescale

    longer = max(luminance.shape)
    if longer <= WORKING:
        return luminance
    found: np.ndarray = rescale(luminance, WORKING / longer, anti_aliasing=True)
    return found


def _object(luminance: np.ndarray, sigma: float) -> Any:
    """The region (scikit-image's) inside the largest closed outline; None where there is none, or it is no object."""
    from scipy.ndimage import binary_fill_holes

    feature, measure, morphology = (import_module(f"skimage.{name}") for name in ("feature", "measure", "morphology"))
    edges = morphology.closing(feature.canny(luminance, sigma, WEAK, STRONG), morphology.disk(GAP))
    areas = morphology.opening(binary_fill_holes(edges), morphology.disk(THIN))
    regions = measure.regionprops(measure.label(areas))
    if not regions:
        return None
    largest = max(regions, key=lambda region: region.area)
    fits = LEAST <= largest.area / luminance.size <= MOST and largest.solidity >= SOLID
    return largest if fits and _touched(largest.bbox, luminance.shape) <= TOUCHED else None


def _touched(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> int:
    """The number of the image's sides that a box (top, left, bottom, right) touches, up to a pixel."""
    return sum((box[0] <= 1, box[1] <= 1, box[2] >= shape[0] - 1, box[3] >= shape[1] - 1))


def _pose(points: np.ndarray) -> Pose:
    """The pose of an area that these points [N, 2] cover evenly."""
    import numpy as np

    centre = points.mean(0)
    offsets = points - centre
    variances, axes = np.linalg.eigh(offsets.T @ offsets / len(offsets))
    first = axes[:, 1]
    along = offsets @ first
    if _skewness(along) < -CLEAR or (abs(_skewness(along)) <= CLEAR and _leftward(first)):
        first, along = -first, -along
    across = offsets @ np.array([first[1], -first[0]])  # the first axis turned by 90 degrees, from x towards y
    return Pose(
        y=float(centre[0]),
        x=float(centre[1]),
        angle=math.atan2(first[0], first[1]),
        spread=math.sqrt(variances[1]),
        elongation=float(variances[1] / max(variances[0], 1e-9)),
        mirrored=_skewness(across) < -CLEAR,
    )


def _skewness(values: np.ndarray) -> float:
    """The third central moment by the cube of the standard deviation."""
    variance = max(float((values**2).mean()), 1e-9)
    return float((values**3).mean()) / (variance * math.sqrt(variance))


def _leftward(axis: np.ndarray) -> bool:
    """Whether an axis (y, x) points to the left, or straight up."""
    return bool(axis[1] < 0 or (axis[1] == 0 and axis[0] < 0))
