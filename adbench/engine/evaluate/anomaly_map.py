"""The anomaly map on the evaluation grid, from patch scores; the only place that resizes maps.

Every step is linear and acts on rows and columns separately, so a map is two small matrix products:

    map = A_y @ scores @ A_x.T

``A`` is the product of three steps: upsampling of the patch grid to the prepared image, Gaussian smoothing, and undoing
crop, padding and resize, to the pixels of the evaluation grid. The matrices are built in float64 and cached; images of
one size share them. The non-linear steps, floor and morphology, follow if a recipe sets them (`morphology.py`). If the
image was turned, this gives the map of the turned original, and the turn is undone last (`warping.py`).

If neighbouring patches have equal scores, the products are exact, so plateaus stay plateaus (`plateaus.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.maps.enlarging import Smoothing, resampled, smoothed
from adbench.engine.evaluate.morphology import shaped, shaped_on_device
from adbench.engine.evaluate.plateaus import Band, bands_of, exact_product, exact_weights, needs_care
from adbench.engine.evaluate.warping import Unwarping, unwarped, unwarped_on_device, unwarping
from adbench.engine.plan.map_spec import MapSpec, Upsample
from adbench.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.geometry import Geometry


def anomaly_map(
    scores: np.ndarray, geometry: Geometry, spec: MapSpec | None = None, evaluation: tuple[int, int] | None = None
) -> np.ndarray:
    """The anomaly map of one image.

    Pixels whose centre a crop removed get the lowest value of the others.

    Args:
        scores: [h, w] patch scores.
        geometry: the place of the prepared image in the original.
        spec: the rule that makes the map.
        evaluation: height and width of the evaluation grid, to which the original is resized; None for the original's
            own pixels.

    Returns:
        [H, W] float32.
    """
    import numpy as np

    spec = spec or MapSpec()
    if geometry.warp is not None:
        turned = anomaly_map(scores, replace(geometry, warp=None), spec, evaluation)
        return unwarped(turned, _unwarping(geometry, evaluation))
    rows, columns = (_Axis.of(axis, scores.shape, geometry, evaluation or geometry.original) for axis in (0, 1))
    values = _mapped(rows, np.asarray(scores, np.float32), columns, spec)
    if spec.shaping is not None:
        values[rows.visible(), columns.visible()] = shaped(values[rows.visible(), columns.visible()], spec.shaping)
    return _lowest_outside(values, rows.visible(), columns.visible())


def anomaly_maps(
    scores: Tensor, geometry: Geometry, spec: MapSpec, evaluation: tuple[int, int] | None = None
) -> Tensor:
    """The anomaly maps of several images of one geometry, on the device of their scores [B, h, w].

    The products are float64, each rounded to float32: ranks do not depend on a GPU's float32 mode, and plateaus stay
    plateaus.

    Returns:
        [B, H, W] float32.
    """
    if geometry.warp is not None:
        turned = anomaly_maps(scores, replace(geometry, warp=None), spec, evaluation)
        return unwarped_on_device(turned, _unwarping(geometry, evaluation))
    axes = [_Axis.of(axis, scores.shape[1:], geometry, evaluation or geometry.original) for axis in (0, 1)]
    rows, columns = (_matrix_on(str(scores.device), axis, spec) for axis in axes)
    values = ((rows @ scores.double()).float().double() @ columns.T).float()
    visible = values[:, axes[0].visible(), axes[1].visible()]
    if spec.shaping is not None:
        visible.copy_(shaped_on_device(visible, spec.shaping))
    if visible.numel() in {0, values.numel()}:
        return values
    lowest = visible.amin(dim=(1, 2), keepdim=True)
    whole = lowest.expand_as(values).clone()
    whole[:, axes[0].visible(), axes[1].visible()] = visible
    return whole


class MapMatrices(NamedTuple):
    """The matrices of the anomaly map of one geometry, without floor and morphology.

    Attributes:
        rows: [H, h] float32.
        columns: [W, w] float32.
        visible: the rows and the columns of the map that the prepared image shows.
    """

    rows: np.ndarray
    columns: np.ndarray
    visible: tuple[slice, slice]


def map_matrices(patches: tuple[int, int], geometry: Geometry, spec: MapSpec) -> MapMatrices:
    """The matrices of maps on the original's own pixels.

    Args:
        patches: height and width of the patch grid.
        geometry: the place of the prepared image in the original.
        spec: the rule that makes the map.

    Raises:
        UsageError: the image was turned.
    """
    if geometry.warp is not None:
        raise UsageError(
            "an image that was turned has no map of two matrices; leave out the preprocessor that turns it"
        )
    rows, columns = (_Axis.of(axis, patches, geometry, geometry.original) for axis in (0, 1))
    return MapMatrices(_matrix(rows, spec), _matrix(columns, spec), (rows.visible(), columns.visible()))


def foreground_on_grid(
    foreground: np.ndarray, geometry: Geometry, evaluation: tuple[int, int] | None = None
) -> np.ndarray:
    """The evaluation pixels whose centre is in a patch of the foreground, without pixels that a crop removed.

    Args:
        foreground: [h, w] on the patch grid, not 0 on the object.
        geometry: the place of the prepared image in the original.
        evaluation: height and width of the evaluation grid; None for the original's own pixels.

    Returns:
        [H, W] bool.
    """
    import numpy as np

    if geometry.warp is not None:
        turned = foreground_on_grid(foreground, replace(geometry, warp=None), evaluation)
        back: np.ndarray = _unwarping(geometry, evaluation).nearest(turned)
        return back
    rows, columns = (_Axis.of(axis, foreground.shape, geometry, evaluation or geometry.original) for axis in (0, 1))
    places = [_cells(axis.places(axis.patches), axis.patches) for axis in (rows, columns)]
    mask = np.zeros((rows.grid, columns.grid), dtype=bool)
    mask[rows.visible(), columns.visible()] = (foreground[np.ix_(*places)] != 0)[rows.visible(), columns.visible()]
    return mask


def _unwarping(geometry: Geometry, evaluation: tuple[int, int] | None) -> Unwarping:
    assert geometry.warp is not None
    return unwarping(geometry.warp, geometry.original, evaluation or geometry.original)


class _Axis(NamedTuple):
    """An axis (rows or columns) of an image from patches to evaluation pixels; the key of a cached matrix.

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
        """The axis of an image: 0 for rows, 1 for columns."""
        start, stop = geometry.box[axis], geometry.box[axis + 2]
        return cls(patches[axis], geometry.size[axis], start, stop, geometry.original[axis], grid[axis])

    def places(self, cells: int) -> np.ndarray:
        """[grid] positions of the centres of the evaluation pixels, in units of equal cells of the visible part."""
        import numpy as np

        centres = (np.arange(self.grid) + 0.5) * (self.original / self.grid)
        places: np.ndarray = (centres - self.start) * (cells / (self.stop - self.start))
        return places

    def visible(self) -> slice:
        """The evaluation pixels whose centres are in the visible part."""
        import numpy as np

        first, end = np.searchsorted(self.places(1), (-1e-9, 1 + 1e-9))
        return slice(int(first), int(end))


def _mapped(rows: _Axis, scores: np.ndarray, columns: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, grid] float32: exact if neighbouring scores are equal or float32 may overflow, else in float32."""
    if not needs_care(scores):
        return _product(_matrix(rows, spec), scores, _matrix(columns, spec))
    return exact_product(_exact_bands(rows, spec), scores, _exact_bands(columns, spec))


def _product(rows: np.ndarray, scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The product ``rows @ scores @ columns.T``, the cheaper side first."""
    by_rows = len(rows) * scores.shape[1] <= scores.shape[0] * len(columns)
    product: np.ndarray = (rows @ scores) @ columns.T if by_rows else rows @ (scores @ columns.T)
    return product


def _lowest_outside(values: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """The map with the lowest value of these rows and columns everywhere outside them."""
    visible = values[rows, columns]
    if visible.size in (0, values.size):  # a box of less than a pixel, or all of the image
        return values
    lowest = visible.min()
    values[: rows.start] = values[rows.stop :] = lowest
    values[:, : columns.start] = values[:, columns.stop :] = lowest
    return values


@lru_cache(maxsize=128)
def _matrix(axis: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, patches] float32: all steps along one axis. Every row has the sum 1, up to rounding."""
    import numpy as np

    matrix: np.ndarray = np.ascontiguousarray(_steps(axis, spec), dtype=np.float32)
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=128)
def _exact_bands(axis: _Axis, spec: MapSpec) -> tuple[Band, ...]:
    """The bands of `_matrix`, for products that keep plateaus."""
    return bands_of(exact_weights(_steps(axis, spec)))


def _steps(axis: _Axis, spec: MapSpec) -> np.ndarray:
    """[grid, patches] float64: all steps along one axis."""
    import numpy as np

    if spec.at == "input":
        matrix = resampled(_smoothed_input(axis.patches, axis.prepared, spec), axis.places(axis.prepared))
    else:
        matrix, places = np.eye(axis.patches), axis.places(axis.patches)
        if spec.upsample == "bilinear-corners":
            places = _corners_met(places, axis.patches, (axis.stop - axis.start) * axis.grid / axis.original)
        matrix = matrix[_cells(places, axis.patches)] if spec.upsample == "nearest" else resampled(matrix, places)
        matrix = _smoothed(matrix, spec)
    return matrix


@lru_cache(maxsize=32)
def _matrix_on(device: str, axis: _Axis, spec: MapSpec) -> Tensor:
    """The matrix on a device, in float64, for products that keep plateaus."""
    import torch

    return torch.from_numpy(exact_weights(_steps(axis, spec))).to(device)


@lru_cache(maxsize=16)
def _smoothed_input(patches: int, prepared: int, spec: MapSpec) -> np.ndarray:
    """[prepared, patches] float64: the slow steps, which images of all sizes share. Do not write to it."""
    return _smoothed(_upsampling(patches, prepared, spec.upsample), spec)


def _upsampling(patches: int, prepared: int, mode: Upsample) -> np.ndarray:
    """[prepared, patches] float64: ``torch.nn.functional.interpolate``, with aligned corners for one mode only."""
    import numpy as np

    if mode == "nearest":
        nearest: np.ndarray = np.eye(patches)[nearest_cells(patches, prepared)]
        return nearest
    places = (np.arange(prepared) + 0.5) * (patches / prepared)
    return resampled(np.eye(patches), places if mode == "bilinear" else _corners_met(places, patches, prepared))


def _corners_met(places: np.ndarray, cells: int, pixels: float) -> np.ndarray:
    """Positions with aligned corners: the centres of the outermost pixels and of the outermost cells coincide."""
    if pixels <= 1:
        return places * 0 + 0.5  # PyTorch gives a single pixel the first cell
    pixel = places * (pixels / cells) - 0.5
    met: np.ndarray = pixel * ((cells - 1) / (pixels - 1)) + 0.5
    return met


def _smoothed(matrix: np.ndarray, spec: MapSpec) -> np.ndarray:
    return smoothed(matrix, Smoothing(spec.sigma, spec.kernel, spec.border))


def _cells(places: np.ndarray, cells: int) -> np.ndarray:
    """The cell [i, i+1) of each position; positions outside belong to the outermost cells."""
    import numpy as np

    cell: np.ndarray = np.floor(places + 1e-9).astype(np.intp).clip(0, cells - 1)
    return cell


def nearest_cells(cells: int, pixels: int) -> np.ndarray:
    """[pixels] the nearest cell of each pixel, rounded as PyTorch does: in single precision."""
    import numpy as np

    scale = np.float32(cells) / np.float32(pixels)
    taken = np.floor(np.arange(pixels, dtype=np.float32) * scale).astype(np.intp)
    nearest: np.ndarray = np.minimum(taken, cells - 1)
    return nearest
