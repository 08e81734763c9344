"""From patch scores to the anomaly map on the evaluation grid; the only place that resizes maps.

Every step is linear and works on rows and columns alone, so that a map is two small matrix products:

    map = A_y @ scores @ A_x.T

``A`` carries out, one after the other: the upsampling of the patch grid to the prepared image, Gaussian smoothing, and
the way back through crop, padding and resize to the pixels on which the dataset is evaluated. The matrices are built in
float64 and kept; images of one size share them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from adbench.api.component import Config, Field

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.geometry import Geometry

_TRUNCATE = 4.0
"""The Gaussian ends after this many sigmas, in SciPy as in anomalib."""

# What SciPy calls the two ways to go on beyond the border. Its own "reflect" repeats the edge, PyTorch's does not.
_SCIPY_BORDER = {"symmetric": "reflect", "reflect": "mirror"}

Upsample = Literal["bilinear", "bilinear-corners", "nearest"]
Border = Literal["symmetric", "reflect"]


class MapSpec(Config):
    """How patch scores become a map: the ``map`` of a recipe. The defaults are PatchCore's.

    Smoothed ``at: input``, scores go through the grid of the prepared image, and sigma counts its pixels. Smoothed
    ``at: evaluation``, they go straight to the evaluation grid, and sigma counts that grid's pixels (AnomalyDINO).
    """

    upsample: Upsample = Field(
        "bilinear",
        description="from patches to pixels; anomalib's PatchCore takes nearest; with bilinear-corners (MuSc) the"
        " outer pixels show the middles of the outer patches, PyTorch's align_corners",
    )
    sigma: float = Field(4.0, ge=0, le=1000, description="standard deviation of the Gaussian in pixels; 0 for none")
    at: Literal["input", "evaluation"] = Field("input", description="the grid that is smoothed")
    border: Border = Field(
        "symmetric", description="beyond the border: the edge repeated (SciPy) or not (reflect: PyTorch, anomalib)"
    )


def anomaly_map(
    scores: np.ndarray, geometry: Geometry, spec: MapSpec | None = None, evaluation: tuple[int, int] | None = None
) -> np.ndarray:
    """The anomaly map of one image.

    Pixels whose centre the model never saw, since a crop removed them, get the lowest value of the rest.

    Args:
        scores: [h, w] patch scores.
        geometry: where the prepared image lies in the original.
        spec: how scores become a map.
        evaluation: height and width of the evaluation grid, onto which the original is squashed; None for the
            original's own pixels.

    Returns:
        [H, W] float32.
    """
    import numpy as np

    spec = spec or MapSpec()
    rows, columns = (_Axis.of(axis, scores.shape, geometry, evaluation or geometry.original) for axis in (0, 1))
    values = _product(_matrix(rows, spec), np.asarray(scores, np.float32), _matrix(columns, spec))
    return _lowest_outside(values, rows.seen(), columns.seen())


def anomaly_maps(
    scores: Tensor, geometry: Geometry, spec: MapSpec, evaluation: tuple[int, int] | None = None
) -> Tensor:
    """The anomaly maps of several images of one geometry, made on the device where their scores [B, h, w] are.

    In float64, rounded at the end: whatever shortcut a GPU is told to take with float32, ranks stay what they are.

    Returns:
        [B, H, W] float32.
    """
    axes = [_Axis.of(axis, scores.shape[1:], geometry, evaluation or geometry.original) for axis in (0, 1)]
    rows, columns = (_matrix_on(str(scores.device), axis, spec) for axis in axes)
    values = (rows @ scores.double() @ columns.T).float()
    seen = values[:, axes[0].seen(), axes[1].seen()]
    if seen.numel() in {0, values.numel()}:
        return values
    lowest = seen.amin(dim=(1, 2), keepdim=True)
    whole = lowest.expand_as(values).clone()
    whole[:, axes[0].seen(), axes[1].seen()] = seen
    return whole


def mask_on_grid(mask: np.ndarray, evaluation: tuple[int, int] | None) -> np.ndarray:
    """A mask on the evaluation grid: the nearest pixel as torchvision and anomalib take it, the one above and left.

    Args:
        mask: [H, W] bool.
        evaluation: height and width of the grid, or None for the mask's own pixels.

    Returns:
        Bool, of the grid's size.
    """
    import numpy as np

    if evaluation in (None, mask.shape):
        return mask
    height, width = evaluation
    taken: np.ndarray = mask[np.ix_(_nearest(mask.shape[0], height), _nearest(mask.shape[1], width))]
    return taken


def foreground_on_grid(
    foreground: np.ndarray, geometry: Geometry, evaluation: tuple[int, int] | None = None
) -> np.ndarray:
    """The evaluation pixels whose centre lies in a patch of the foreground; what a crop removed is no part of it.

    Args:
        foreground: [h, w] on the patch grid, not 0 where the object is.
        geometry: where the prepared image lies in the original.
        evaluation: height and width of the evaluation grid; None for the original's own pixels.

    Returns:
        [H, W] bool.
    """
    import numpy as np

    rows, columns = (_Axis.of(axis, foreground.shape, geometry, evaluation or geometry.original) for axis in (0, 1))
    places = [_cells(axis.places(axis.patches), axis.patches) for axis in (rows, columns)]
    mask = np.zeros((rows.grid, columns.grid), dtype=bool)
    mask[rows.seen(), columns.seen()] = (foreground[np.ix_(*places)] != 0)[rows.seen(), columns.seen()]
    return mask


class _Axis(NamedTuple):
    """One direction of the way from patches to evaluation pixels; what a matrix is kept under.

    Attributes:
        patches, prepared, original, grid: the number of patches, and of pixels of each image along the axis.
        start, stop: the part of the original that the prepared image shows.
    """

    patches: int
    prepared: int
    start: float
    stop: float
    original: int
    grid: int

    @classmethod
    def of(cls, axis: int, patches: tuple[int, ...], geometry: Geometry, grid: tuple[int, int]) -> _Axis:
        """Rows are axis 0, columns axis 1."""
        start, stop = geometry.box[axis], geometry.box[axis + 2]
        return cls(patches[axis], geometry.size[axis], start, stop, geometry.original[axis], grid[axis])

    def places(self, cells: int) -> np.ndarray:
        """[grid] where the centres of the evaluation pixels lie among cells that divide the shown part evenly."""
        import numpy as np

        centres = (np.arange(self.grid) + 0.5) * (self.original / self.grid)
        places: np.ndarray = (centres - self.start) * (cells / (self.stop - self.start))
        return places

    def seen(self) -> slice:
        """The evaluation pixels whose centres lie in the part that is shown."""
        import numpy as np

        first, end = np.searchsorted(self.places(1), (-1e-9, 1 + 1e-9))
        return slice(int(first), int(end))


def _product(rows: np.ndarray, scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """``rows @ scores @ columns.T``, the cheaper side first."""
    by_rows = len(rows) * scores.shape[1] <= scores.shape[0] * len(columns)
    product: np.ndarray = (rows @ scores) @ columns.T if by_rows else rows @ (scores @ columns.T)
    return product


def _lowest_outside(values: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """The map with the lowest value of these rows and columns everywhere outside them."""
    seen = values[rows, columns]
    if seen.size in (0, values.size):  # a box of less than a pixel, or all of the image
        return values
    lowest = seen.min()
    values[: rows.start] = values[rows.stop :] = lowest
    values[:, : columns.start] = values[:, columns.stop :] = lowest
    return values


@lru_cache(maxsize=128)
def _matrix(axis: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, patches] float32: all steps along one axis. Every row adds up to 1."""
    import numpy as np

    if spec.at == "input":
        way = _resample(_smoothed_input(axis.patches, axis.prepared, spec), axis.places(axis.prepared))
    else:
        shown = axis.grid * (axis.stop - axis.start) / axis.original
        way = _smoothed(_enlarged(axis.patches, axis.places(axis.patches), shown, spec.upsample), spec)
    matrix: np.ndarray = np.ascontiguousarray(way, dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=32)
def _matrix_on(device: str, axis: _Axis, spec: MapSpec) -> Tensor:
    """`_matrix` on a device, in float64."""
    import torch

    return torch.from_numpy(_matrix(axis, spec).astype("float64")).to(device)


@lru_cache(maxsize=16)
def _smoothed_input(patches: int, prepared: int, spec: MapSpec) -> np.ndarray:
    """[prepared, patches] float64: the slow part of the way, which images of all sizes share. Not to be written to."""
    return _smoothed(_upsampling(patches, prepared, spec.upsample), spec)


def _upsampling(patches: int, prepared: int, mode: Upsample) -> np.ndarray:
    """[prepared, patches] float64: ``torch.nn.functional.interpolate``, its ``align_corners`` as the mode says."""
    import numpy as np

    if mode == "nearest":
        nearest: np.ndarray = np.eye(patches)[_nearest(patches, prepared)]
        return nearest
    return _enlarged(patches, (np.arange(prepared) + 0.5) * (patches / prepared), prepared, mode)


def _enlarged(patches: int, places: np.ndarray, pixels: float, mode: Upsample) -> np.ndarray:
    """[places, patches] float64: rows at places among the patches, of pixels of which so many show all patches."""
    import numpy as np

    way = np.eye(patches)
    if mode == "nearest":
        cells: np.ndarray = way[_cells(places, patches)]
        return cells
    if mode == "bilinear-corners":  # pixel 0 shows the first patch alone, the last pixel the last one
        index = places * (pixels / patches) - 0.5
        places = index * ((patches - 1) / max(pixels - 1, 1)) + 0.5
    return _resample(way, places)


def _smoothed(way: np.ndarray, spec: MapSpec) -> np.ndarray:
    """Each column smoothed by SciPy's Gaussian: what smoothing the map would do, done once to its matrix."""
    if spec.sigma == 0:
        return way
    from scipy.ndimage import gaussian_filter1d

    smooth: np.ndarray = gaussian_filter1d(way, spec.sigma, axis=0, mode=_SCIPY_BORDER[spec.border], truncate=_TRUNCATE)
    return smooth


def _resample(way: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows at these places, linearly between the two nearest; row i has its centre at i + 0.5, the edge goes on."""
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


def _cells(places: np.ndarray, cells: int) -> np.ndarray:
    """The cell [i, i+1) that each place lies in; the outer ones go on."""
    import numpy as np

    cell: np.ndarray = np.floor(places + 1e-9).astype(np.intp).clip(0, cells - 1)
    return cell


def _nearest(cells: int, pixels: int) -> np.ndarray:
    """[pixels] the cell that each pixel takes, rounded exactly as PyTorch rounds: in single precision."""
    import numpy as np

    scale = np.float32(cells) / np.float32(pixels)
    taken = np.floor(np.arange(pixels, dtype=np.float32) * scale).astype(np.intp)
    nearest: np.ndarray = np.minimum(taken, cells - 1)
    return nearest
