"""Ignored pixels on the evaluation grid: lowest in maps, in no figure, and what lies wholly in them is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.api.curves.regions import Region
from adbench.engine.evaluate.anomaly_map import nearest_cells

if TYPE_CHECKING:
    import numpy as np


def on_evaluation_grid(ignored: np.ndarray, evaluation: tuple[int, int] | None) -> np.ndarray:
    """[H, W] bool: ignored pixels on the evaluation grid, by the nearest pixel, as masks.

    Args:
        ignored: [H, W] bool, of the original image.
        evaluation: height and width of the grid, or None for the image's own pixels.
    """
    import numpy as np

    if evaluation in (None, ignored.shape):
        return ignored
    rows, columns = (nearest_cells(cells, pixels) for cells, pixels in zip(ignored.shape, evaluation, strict=True))
    taken: np.ndarray = ignored[np.ix_(rows, columns)]
    return taken


def lowest_where(scores: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    """A map [H, W] whose ignored pixels have the lowest value of the others; itself without ignored pixels."""
    if ignored is None or ignored.all():
        return scores
    found: np.ndarray = scores.copy()
    found[ignored] = scores[~ignored].min()
    return found


def regions_within(mask: np.ndarray, ignored: np.ndarray) -> int:
    """The number of regions of a mask [H, W] bool, 8-connected, all of whose pixels are ignored."""
    import numpy as np
    from scipy import ndimage

    regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return int(count) - np.unique(regions[mask & ~ignored]).size


def without_ignored(region: Region, ignored: np.ndarray | None) -> Region | None:
    """A region without its ignored pixels, of which the same share saturates it; None where nothing is left."""
    if ignored is None:
        return region
    left = region.positions[~ignored.ravel()[region.positions]]
    if not left.size:
        return None
    saturation = max(1, int(region.saturation * left.size / region.positions.size))
    return Region(region.shape, left, saturation)
