"""The undoing of a geometry's warp: a map of the turned original, on the pixels of the original."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from adbench.api.geometry import inverse

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from adbench.api.geometry import Affine


class Unwarping(NamedTuple):
    """The places in a map of the turned original that the pixels of an evaluation grid show.

    Attributes:
        above, below: [H, W] rows of the two nearest places.
        left, right: [H, W] their columns.
        down, across: [H, W] float64 from 0 to 1, how far a pixel lies from the first to the second.
        inside: [H, W] bool, whether the turned original shows the pixel's centre.
    """

    above: Any
    below: Any
    left: Any
    right: Any
    down: Any
    across: Any
    inside: Any

    def mixed(self, values: Any) -> Any:
        """Values [..., H, W] at the pixels, bilinearly; equal neighbours stay equal.

        Args:
            values: an array or a tensor, float64.
        """
        upper = _between(values[..., self.above, self.left], values[..., self.above, self.right], self.across)
        lower = _between(values[..., self.below, self.left], values[..., self.below, self.right], self.across)
        return _between(upper, lower, self.down)

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """Values [H, W] bool at the pixels, of the nearest place; False outside the turned original."""
        import numpy as np

        rows = np.where(self.down < 0.5, self.above, self.below)
        found: np.ndarray = values[rows, np.where(self.across < 0.5, self.left, self.right)] & self.inside
        return found

    def on(self, device: str) -> Unwarping:
        """The same as tensors on a device."""
        import torch

        return Unwarping(*(torch.from_numpy(each).to(device) for each in self))


@lru_cache(maxsize=4)
def unwarping(warp: Affine, original: tuple[int, int], grid: tuple[int, int]) -> Unwarping:
    """The places that the pixels of a grid show.

    Args:
        warp: from the turned original to the original.
        original: its height and width.
        grid: height and width of the evaluation grid, over the whole original.
    """
    import numpy as np

    a, b, c, d, e, f = inverse(warp)
    scale = original[0] / grid[0], original[1] / grid[1]
    y = ((np.arange(grid[0]) + 0.5) * scale[0])[:, None]
    x = (np.arange(grid[1]) + 0.5) * scale[1]
    rows, columns = (a * y + b * x + c) / scale[0], (d * y + e * x + f) / scale[1]
    inside = (rows >= 0) & (rows <= grid[0]) & (columns >= 0) & (columns <= grid[1])
    above, below, down = _neighbours(rows, grid[0])
    left, right, across = _neighbours(columns, grid[1])
    return Unwarping(above, below, left, right, down, across, inside)


def unwarped(values: np.ndarray, places: Unwarping) -> np.ndarray:
    """A map [H, W] of the turned original on the pixels of the original; what it does not show has the lowest value."""
    import numpy as np

    wide = values.astype(np.float64)
    found: np.ndarray = np.where(places.inside, places.mixed(wide), _lowest(wide)).astype(np.float32)
    return found


def unwarped_on_device(values: Tensor, places: Unwarping) -> Tensor:
    """The same for maps [B, H, W] on a device."""
    import torch

    there, wide = places.on(str(values.device)), values.double()
    lowest = wide.amin(dim=(1, 2), keepdim=True)
    return torch.where(there.inside, there.mixed(wide), lowest).float()


def _lowest(values: np.ndarray) -> float:
    return float(values.min()) if values.size else 0.0


def _between(first: Any, second: Any, share: Any) -> Any:
    return first + (second - first) * share


def _neighbours(positions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells nearest to each position, in units of cells, and how far it lies from the first one's centre."""
    import numpy as np

    centred = (positions - 0.5).clip(0, count - 1)
    first = np.floor(centred).astype(np.intp)
    return first, np.minimum(first + 1, count - 1), centred - first
