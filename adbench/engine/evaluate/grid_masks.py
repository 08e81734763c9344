"""Masks on the evaluation grid, which may be coarser than the original mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from adbench.api.curves.regions import Region
from adbench.engine.evaluate.anomaly_map import nearest_cells

if TYPE_CHECKING:
    import numpy as np


class GridMask(NamedTuple):
    """A mask on the evaluation grid.

    Attributes:
        marked: bool, of the grid's size.
        vanished: number of regions without a nearest pixel, which were kept.
    """

    marked: np.ndarray
    vanished: int = 0


def mask_on_grid(mask: np.ndarray, evaluation: tuple[int, int] | None) -> GridMask:
    """A mask on the evaluation grid, by the nearest pixel of torchvision and anomalib, the one above and left.

    A region without a nearest pixel marks every pixel of the grid that it touches, so a defect never becomes a normal
    area. Regions are 8-connected, as in AUPRO.

    Args:
        mask: [H, W] bool.
        evaluation: height and width of the grid, or None for the mask's own pixels.
    """
    import numpy as np

    if evaluation in (None, mask.shape):
        return GridMask(mask)
    rows, columns = (nearest_cells(cells, pixels) for cells, pixels in zip(mask.shape, evaluation, strict=True))
    taken: np.ndarray = mask[np.ix_(rows, columns)]
    lost, vanished = _lost(mask, rows, columns)
    if vanished:
        touched = (_touched(cells, places) for cells, places in zip(mask.shape, (rows, columns), strict=True))
        above, left = touched
        taken |= (above @ lost.astype(np.float32) @ left.T) > 0
    return GridMask(taken, vanished)


def _lost(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, int]:
    """[H, W] bool: the regions without a pixel in these rows and columns, and their number."""
    import numpy as np
    from scipy import ndimage

    regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
    gone = np.ones(count + 1, bool)
    gone[0] = False
    gone[regions[np.ix_(rows, columns)]] = False
    return gone[regions], int(gone.sum())


def _touched(cells: int, places: np.ndarray) -> np.ndarray:
    """[grid, cells] 1 if a pixel of the grid touches a pixel of the mask: it contains it, or has it as its nearest."""
    import numpy as np

    touched = np.zeros((len(places), cells), np.float32)
    touched[np.arange(len(places)), places] = 1
    touched[np.arange(cells) * len(places) // cells, np.arange(cells)] = 1
    return touched


def region_on_grid(region: Region, evaluation: tuple[int, int] | None) -> Region:
    """A region on the evaluation grid, of which the same share saturates it."""
    import numpy as np

    if evaluation in (None, region.shape):
        return region
    mask = np.zeros(region.shape, dtype=bool)
    mask.ravel()[region.positions] = True
    shown = mask_on_grid(mask, evaluation).marked
    return Region.of(shown, region.saturation * np.count_nonzero(shown) / region.positions.size)
