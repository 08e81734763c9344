"""What is done to a finished anomaly map that no matrix can do: a floor, and flat grey morphology.

Both only compare scores, they add none: they commute with every increasing function of the scores, and with each other.
Opening takes away what stands out but is smaller than the square, closing fills what is smaller and stands back.
Pixels beyond the border do not take part, as in OpenCV; SciPy's mirrored border comes to the same for a flat square.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Operation = Literal["erode", "dilate", "open", "close"]

_STEPS: dict[Operation, tuple[bool, ...]] = {
    "erode": (False,),
    "dilate": (True,),
    "open": (False, True),
    "close": (True, False),
}
"""Of each operation the extremes that are taken, one after the other: True for the highest of the neighbourhood."""

MAX_SIDE = 999


class Shaping(NamedTuple):
    """What is done to a map after the linear way.

    Attributes:
        floor: scores below it are raised to it; None for none.
        operation: of morphology, or None.
        side: of the square neighbourhood in pixels, odd.
    """

    floor: float | None = None
    operation: Operation | None = None
    side: int = 1

    @staticmethod
    def parse(text: str) -> tuple[Operation, int]:
        """Operation and side of ``open:5``.

        Raises:
            ValueError: it is no such text; the message says what is.
        """
        match = re.fullmatch(r"([a-z]+):([0-9]{1,3})", text)
        if match is None or match[1] not in _STEPS or int(match[2]) % 2 == 0 or int(match[2]) < 3:
            raise ValueError(f"write {', '.join(_STEPS)} with the odd side of a square, 3 to {MAX_SIDE}: open:5")
        return cast("Operation", match[1]), int(match[2])


def shaped(values: np.ndarray, how: Shaping) -> np.ndarray:
    """A new map [H, W] float32 from one that is left as it is."""
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    if how.floor is not None:
        values = np.maximum(values, np.float32(how.floor))
    for highest in _STEPS[how.operation] if how.operation and values.size else ():
        values = (maximum_filter if highest else minimum_filter)(values, how.side)
    return values


def shaped_on_device(values: Tensor, how: Shaping) -> Tensor:
    """The same for maps [B, H, W] float32 on the device where they are; bit for bit, since nothing is computed."""
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
