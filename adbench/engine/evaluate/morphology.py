"""The non-linear steps of an anomaly map: a floor, and flat grey morphology.

Both only compare scores: they commute with every increasing function of the scores, and with each other. Opening
removes bright areas smaller than the square, closing fills dark ones. Pixels beyond the border do not take
part, as in OpenCV; SciPy's mirrored border gives the same for a flat square.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.engine.plan.map_spec import _STEPS, Morphology

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def shaped(values: np.ndarray, how: Morphology) -> np.ndarray:
    """A new map [H, W] float32 with floor and morphology; the input stays unchanged."""
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    if how.floor is not None:
        values = np.maximum(values, np.float32(how.floor))
    for highest in _STEPS[how.operation] if how.operation and values.size else ():
        values = (maximum_filter if highest else minimum_filter)(values, how.side)
    return values


def shaped_on_device(values: Tensor, how: Morphology) -> Tensor:
    """Maps [B, H, W] float32 with floor and morphology, on their device; equal to `shaped` bit for bit."""
    if how.floor is not None:
        values = values.clamp(min=how.floor)
    for highest in _STEPS[how.operation] if how.operation and values.numel() else ():
        values = _highest(values, how.side) if highest else -_highest(-values, how.side)
    return values


def _highest(values: Tensor, side: int) -> Tensor:
    """The highest score of each pixel's square, rows and columns one after the other."""
    from torch.nn.functional import max_pool2d

    half = side // 2
    across = max_pool2d(values[:, None], (1, side), stride=1, padding=(0, half))
    return max_pool2d(across, (side, 1), stride=1, padding=(half, 0))[:, 0]
