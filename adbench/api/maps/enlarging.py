"""From the patch grid to pixels along one axis: bilinear enlargement, and a Gaussian behind it, as small matrices.

Both steps are linear and work on rows and on columns alone, so that a map is ``A_y @ scores @ A_x.T``. The matrices are
in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Border = Literal["symmetric", "reflect"]
"""What is beyond the border: the edge repeated (``symmetric``, SciPy) or not (``reflect``: OpenCV, PyTorch)."""

_TRUNCATE = 4.0
"""The Gaussian ends after so many sigmas, in SciPy as in anomalib, where no kernel is given."""


class Smoothing(NamedTuple):
    """The Gaussian behind the enlargement.

    Attributes:
        sigma: its standard deviation in pixels; 0 for none.
        kernel: the odd side of its kernel in pixels; None for 4 sigmas each way.
        border: what is beyond the border.
    """

    sigma: float = 0
    kernel: int | None = None
    border: Border = "symmetric"


def prepared_maps(scores: Tensor, sizes: Sequence[tuple[int, int]], smoothing: Smoothing) -> Iterator[Tensor]:
    """The map of each image on the pixels of its prepared image, enlarged bilinearly, then smoothed.

    Args:
        scores: [B, H, W] patch scores.
        sizes: height and width of each prepared image in pixels: its `Geometry.size`.
        smoothing: the Gaussian.

    Yields:
        [H0, W0] float64 on the device of the scores.
    """
    import torch

    wide = scores.double()
    for one, size in zip(wide, sizes, strict=True):
        rows, columns = (
            torch.from_numpy(_matrix(cells, pixels, smoothing).copy()).to(wide)
            for cells, pixels in zip(one.shape, size, strict=True)
        )
        yield rows @ one @ columns.T


@lru_cache(maxsize=16)
def _matrix(cells: int, pixels: int, smoothing: Smoothing) -> np.ndarray:
    """[pixels, cells] float64: enlarging, then smoothing, along one axis."""
    return smoothed(enlarged(cells, pixels), smoothing)


def enlarged(cells: int, pixels: int) -> np.ndarray:
    """[pixels, cells] float64: bilinear, as ``torch.nn.functional.interpolate`` without aligned corners."""
    import numpy as np

    return resampled(np.eye(cells), (np.arange(pixels) + 0.5) * (cells / pixels))


def resampled(way: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of a matrix at these places, linearly between the two nearest.

    Args:
        way: [N, C]; row i has its centre at i + 0.5, and beyond the outermost centres the edge goes on.
        places: [P] in units of rows.

    Returns:
        [P, C] float64.
    """
    import numpy as np

    last = len(way) - 1
    position = places - 0.5
    whole = np.rint(position)
    position = np.where(np.abs(position - whole) < 1e-9, whole, position).clip(0, last)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, last)
    weight = (position - lower)[:, None]
    if not weight.any():
        return way[lower]
    mixed: np.ndarray = way[lower] * (1 - weight) + way[upper] * weight
    return mixed


def smoothed(way: np.ndarray, smoothing: Smoothing) -> np.ndarray:
    """Each column smoothed by a Gaussian: what smoothing the map would do, done once to its matrix.

    It is `scipy.ndimage.gaussian_filter1d`, step by step: SciPy would take longer to import than the rest of a map.

    Args:
        way: [N, C].
        smoothing: the Gaussian.

    Returns:
        [N, C] float64.
    """
    if not smoothing.sigma:
        return way
    import numpy as np

    reach = int(_TRUNCATE * smoothing.sigma + 0.5) if smoothing.kernel is None else smoothing.kernel // 2
    weights = np.exp(-0.5 / smoothing.sigma**2 * np.arange(-reach, reach + 1) ** 2)
    weights /= weights.sum()
    padded = np.pad(np.asarray(way, np.float64), ((reach, reach), (0, 0)), smoothing.border)
    smooth: np.ndarray = padded[reach : reach + len(way)] * weights[reach]
    for place in range(reach):  # from both ends inwards, as SciPy adds them up
        after = len(padded) - len(way) - place
        smooth += (padded[place : place + len(way)] + padded[after : after + len(way)]) * weights[place]
    return smooth
