"""Images of organised points: depth and surface normals, and the pixels at which the scanner saw nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import BadImage

if TYPE_CHECKING:
    import numpy as np

MOST_PIXELS = 1 << 26
"""Largest number of points in a file that is read."""
_TAILS = 1.0, 99.0
"""Percentiles of the depth of an image that are black and white: a few wild points do not decide its contrast."""


def read_points(path: Path) -> np.ndarray:
    """[H, W, 3] float32: the points of a TIFF, (0, 0, 0) where there is none.

    Raises:
        BadImage: the file cannot be read, is too large, or holds no points of three coordinates.
    """
    import numpy as np
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            _require_points(path, file.series[0].shape, np.dtype(file.series[0].dtype))
            points = np.ascontiguousarray(file.series[0].asarray(), np.float32)
    except BadImage:
        raise
    except Exception as error:  # noqa: BLE001  tifffile raises nearly anything on a damaged file
        raise BadImage(path, f"is no TIFF of points that can be read ({type(error).__name__})") from None
    if not np.isfinite(points).all():
        raise BadImage(path, "holds coordinates that are not finite")
    return points


def _require_points(path: Path, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
    """Raise `BadImage` unless the file holds [H, W, 3] floats, and not too many."""
    if len(shape) != 3 or shape[2] != 3 or kind.kind != "f" or not 0 < shape[0] * shape[1] <= MOST_PIXELS:
        raise BadImage(path, f"holds {list(shape)} numbers of {kind}, and not [H, W, 3] coordinates of points")


def missing(points: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels without a point.

    Args:
        points: [H, W, 3].
    """
    nothing: np.ndarray = (points == 0).all(axis=2)
    return nothing


def depth_image(points: np.ndarray) -> np.ndarray:
    """[H, W, 3] float32 from 0 to 1: near is light, between the 1st and 99th percentile of the image's depths.

    Args:
        points: [H, W, 3]; the last coordinate is the distance. Pixels without a point are black.
    """
    import numpy as np

    there, depth = ~missing(points), points[:, :, 2]
    low, high = np.percentile(depth[there], _TAILS) if there.any() else (0.0, 1.0)
    shown = np.clip((high - depth) / max(float(high - low), 1e-9), 0, 1).astype(np.float32)
    shown[~there] = 0
    image: np.ndarray = np.repeat(shown[:, :, None], 3, axis=2)
    return image


def normals_image(points: np.ndarray) -> np.ndarray:
    """[H, W, 3] float32 from 0 to 1: the surface's normal at each pixel, (n + 1) / 2, turned towards the scanner.

    Args:
        points: [H, W, 3]. A pixel without a point, or next to one, has no normal and is black.
    """
    import numpy as np

    if min(points.shape[:2]) < 2:
        return np.zeros(points.shape, np.float32)
    down, right = (np.gradient(points, axis=axis) for axis in (0, 1))
    across = np.cross(right, down)
    length = np.linalg.norm(across, axis=2, keepdims=True)
    normal = across / np.maximum(length, 1e-12)
    normal *= np.where((normal * points).sum(axis=2, keepdims=True) > 0, -1, 1)
    normal[without_normal(points) | (length[:, :, 0] <= 1e-12)] = -1
    shown: np.ndarray = ((normal + 1) / 2).astype(np.float32)
    return shown


def without_normal(points: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels without a point, and the four neighbours of each.

    Args:
        points: [H, W, 3].
    """
    nothing = missing(points)
    grown: np.ndarray = nothing.copy()
    grown[1:] |= nothing[:-1]
    grown[:-1] |= nothing[1:]
    grown[:, 1:] |= nothing[:, :-1]
    grown[:, :-1] |= nothing[:, 1:]
    return grown
