"""From patch scores to the anomaly map on the evaluation grid; the only place that resizes maps.

Every step on the way is linear and works on rows and columns alone, so that a map is two small matrix products:

    map = A_y @ scores @ A_x.T

``A`` carries out, one after the other: the upsampling of the patch grid to the prepared image, Gaussian smoothing, and
the way back through crop, padding and resize to the pixels on which the dataset is evaluated. The matrices are built in
float64 and kept; images of one size share them. What is not linear, a floor and morphology, comes after that, where a
recipe asks for it (`engine/evaluate/morphology.py`).

Where neighbouring patches have equal scores, the products are exact, so that plateaus stay plateaus
(`engine/evaluate/plateaus.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.maps.enlarging import Smoothing, resampled, smoothed
from adbench.engine.evaluate.morphology import shaped, shaped_on_device
from adbench.engine.evaluate.plateaus import Band, bands_of, exact_product, exact_weights, needs_care
from adbench.engine.plan.map_spec import MapSpec, Upsample

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.geometry import Geometry


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
    values = _mapped(rows, np.asarray(scores, np.float32), columns, spec)
    if spec.shaping is not None:
        values[rows.seen(), columns.seen()] = shaped(values[rows.seen(), columns.seen()], spec.shaping)
    return _lowest_outside(values, rows.seen(), columns.seen())


def anomaly_maps(
    scores: Tensor, geometry: Geometry, spec: MapSpec, evaluation: tuple[int, int] | None = None
) -> Tensor:
    """The anomaly maps of several images of one geometry, made on the device where their scores [B, h, w] are.

    In float64, rounded after each product: whatever shortcut a GPU is told to take with float32, ranks stay what they
    are, and plateaus stay plateaus.

    Returns:
        [B, H, W] float32.
    """
    axes = [_Axis.of(axis, scores.shape[1:], geometry, evaluation or geometry.original) for axis in (0, 1)]
    rows, columns = (_matrix_on(str(scores.device), axis, spec) for axis in axes)
    values = ((rows @ scores.double()).float().double() @ columns.T).float()
    seen = values[:, axes[0].seen(), axes[1].seen()]
    if spec.shaping is not None:
        seen.copy_(shaped_on_device(seen, spec.shaping))
    if seen.numel() in {0, values.numel()}:
        return values
    lowest = seen.amin(dim=(1, 2), keepdim=True)
    whole = lowest.expand_as(values).clone()
    whole[:, axes[0].seen(), axes[1].seen()] = seen
    return whole


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


def _mapped(rows: _Axis, scores: np.ndarray, columns: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, grid] float32: in float32, or exactly where equal scores lie side by side or float32 has no room."""
    if not needs_care(scores):
        return _product(_matrix(rows, spec), scores, _matrix(columns, spec))
    return exact_product(_exact_bands(rows, spec), scores, _exact_bands(columns, spec))


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
    """[grid, patches] float32: all steps along one axis. Every row adds up to 1, but for rounding."""
    import numpy as np

    matrix: np.ndarray = np.ascontiguousarray(_way(axis, spec), dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=128)
def _exact_bands(axis: _Axis, spec: MapSpec) -> tuple[Band, ...]:
    """`_matrix` for products that leave plateaus plateaus."""
    return bands_of(exact_weights(_way(axis, spec)))


def _way(axis: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, patches] float64: all steps along one axis."""
    import numpy as np

    if spec.at == "input":
        way = resampled(_smoothed_input(axis.patches, axis.prepared, spec), axis.places(axis.prepared))
    else:
        way, places = np.eye(axis.patches), axis.places(axis.patches)
        if spec.upsample == "bilinear-corners":
            places = _corners_met(places, axis.patches, (axis.stop - axis.start) * axis.grid / axis.original)
        way = way[_cells(places, axis.patches)] if spec.upsample == "nearest" else resampled(way, places)
        way = _smoothed(way, spec)
    return way


@lru_cache(maxsize=32)
def _matrix_on(device: str, axis: _Axis, spec: MapSpec) -> Tensor:
    """`_matrix` on a device, in float64, for products that leave plateaus plateaus."""
    import torch

    return torch.from_numpy(exact_weights(_way(axis, spec))).to(device)


@lru_cache(maxsize=16)
def _smoothed_input(patches: int, prepared: int, spec: MapSpec) -> np.ndarray:
    """[prepared, patches] float64: the slow part of the way, which images of all sizes share. Not to be written to."""
    return _smoothed(_upsampling(patches, prepared, spec.upsample), spec)


def _upsampling(patches: int, prepared: int, mode: Upsample) -> np.ndarray:
    """[prepared, patches] float64: ``torch.nn.functional.interpolate``, corners aligned only where the mode says so."""
    import numpy as np

    if mode == "nearest":
        nearest: np.ndarray = np.eye(patches)[nearest_cells(patches, prepared)]
        return nearest
    places = (np.arange(prepared) + 0.5) * (patches / prepared)
    return resampled(np.eye(patches), places if mode == "bilinear" else _corners_met(places, patches, prepared))


def _corners_met(places: np.ndarray, cells: int, pixels: float) -> np.ndarray:
    """Places among cells, stretched so that the centres of the outermost pixels meet those of the outermost cells."""
    if pixels <= 1:
        return places * 0 + 0.5  # PyTorch gives a single pixel the first cell
    pixel = places * (pixels / cells) - 0.5
    met: np.ndarray = pixel * ((cells - 1) / (pixels - 1)) + 0.5
    return met


def _smoothed(way: np.ndarray, spec: MapSpec) -> np.ndarray:
    return smoothed(way, Smoothing(spec.sigma, spec.kernel, spec.border))


def _cells(places: np.ndarray, cells: int) -> np.ndarray:
    """The cell [i, i+1) that each place lies in; the outer ones go on."""
    import numpy as np

    cell: np.ndarray = np.floor(places + 1e-9).astype(np.intp).clip(0, cells - 1)
    return cell


def nearest_cells(cells: int, pixels: int) -> np.ndarray:
    """[pixels] the cell that each pixel takes, rounded exactly as PyTorch rounds: in single precision."""
    import numpy as np

    scale = np.float32(cells) / np.float32(pixels)
    taken = np.floor(np.arange(pixels, dtype=np.float32) * scale).astype(np.intp)
    nearest: np.ndarray = np.minimum(taken, cells - 1)
    return nearest
