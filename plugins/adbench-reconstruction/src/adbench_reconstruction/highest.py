"""The mean of the highest pixels of an image's anomaly map, which SubspaceAD takes for the image's score."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench import Geometry

Border = Literal["symmetric", "reflect"]

_SCIPY_BORDER = {"symmetric": "reflect", "reflect": "mirror"}
_TRUNCATE = 4.0
"""The Gaussian ends after so many sigmas, as in SciPy, where no kernel is given."""


class Enlarging(NamedTuple):
    """How patch scores become a map on the prepared image: bilinearly, then by a Gaussian.

    Attributes:
        sigma: of the Gaussian in pixels; 0 for none.
        kernel: its side in pixels; None for 4 sigmas each way.
        border: what is beyond the border: the edge repeated (symmetric) or not (reflect).
    """

    sigma: float = 0
    kernel: int | None = None
    border: Border = "symmetric"


def mean_of_highest(scores: Tensor, geometry: tuple[Geometry, ...], fraction: float, way: Enlarging) -> Tensor:
    """[B] float32: the mean of each map's highest pixels, ``int(fraction * N)`` of N and at least one.

    Both steps of the way work on rows and on columns alone, so that a map is ``A_y @ scores @ A_x.T``. In float64.

    Args:
        scores: [B, H, W].
        geometry: one an image, for the prepared image's size.
        fraction: the share of the pixels that counts.
        way: how the map is made.
    """
    import torch

    wide, means = scores.double(), []
    for one, place in zip(wide, geometry, strict=True):
        rows, columns = (
            torch.from_numpy(_matrix(cells, pixels, way).copy()).to(wide)
            for cells, pixels in zip(one.shape, place.size, strict=True)
        )
        pixels = (rows @ one @ columns.T).flatten()
        means.append(pixels.topk(max(1, int(fraction * len(pixels)))).values.mean())
    return torch.stack(means).float()


@lru_cache(maxsize=16)
def _matrix(cells: int, pixels: int, way: Enlarging) -> np.ndarray:
    """[pixels, cells] float64: enlarging, then smoothing, along one axis."""
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    places = np.clip((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)
    lower = np.floor(places).astype(np.intp)
    upper, weight = np.minimum(lower + 1, cells - 1), (places - lower)[:, None]
    enlarged: np.ndarray = np.eye(cells)[lower] * (1 - weight) + np.eye(cells)[upper] * weight
    if not way.sigma:
        return enlarged
    reach = {"truncate": _TRUNCATE} if way.kernel is None else {"radius": way.kernel // 2}
    smooth: np.ndarray = gaussian_filter1d(enlarged, way.sigma, axis=0, mode=_SCIPY_BORDER[way.border], **reach)
    return smooth
