"""The highest value of an image's smoothed anomaly map, which PaDiM takes for the image's score."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench import Geometry

Border = Literal["symmetric", "reflect"]

TRUNCATE = 4.0
"""The Gaussian ends after so many sigmas, in SciPy as in anomalib."""

_SCIPY_BORDER = {"symmetric": "reflect", "reflect": "mirror"}


def highest_smoothed(scores: Tensor, geometry: tuple[Geometry, ...], sigma: float, border: Border) -> Tensor:
    """[B] float32: the maximum of each image's map on the grid of the prepared image.

    Scores are enlarged bilinearly and smoothed by a Gaussian; both steps work on rows and on columns alone, so that a
    map is ``A_y @ scores @ A_x.T``. In float64.

    Args:
        scores: [B, H, W].
        geometry: one an image, for the prepared image's size.
        sigma: of the Gaussian, in pixels of the prepared image.
        border: what is beyond the border: the edge repeated (symmetric) or not (reflect).
    """
    import torch

    wide, highest = scores.double(), []
    for one, place in zip(wide, geometry, strict=True):
        rows, columns = (
            torch.from_numpy(_matrix(cells, pixels, sigma, border).copy()).to(wide)
            for cells, pixels in zip(one.shape, place.size, strict=True)
        )
        highest.append((rows @ one @ columns.T).amax())
    return torch.stack(highest).float()


@lru_cache(maxsize=16)
def _matrix(cells: int, pixels: int, sigma: float, border: Border) -> np.ndarray:
    """[pixels, cells] float64: enlarging, then smoothing, along one axis."""
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    places = np.clip((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)
    lower = np.floor(places).astype(np.intp)
    upper, weight = np.minimum(lower + 1, cells - 1), (places - lower)[:, None]
    enlarged = np.eye(cells)[lower] * (1 - weight) + np.eye(cells)[upper] * weight
    smooth: np.ndarray = gaussian_filter1d(enlarged, sigma, axis=0, mode=_SCIPY_BORDER[border], truncate=TRUNCATE)
    return smooth
