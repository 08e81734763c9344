"""The truth of an image: its defective pixels, in a compact form for curves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MaskedMap = tuple[np.ndarray, np.ndarray]
"""An anomaly map [H, W] float and its mask [H, W] bool."""


@dataclass(frozen=True)
class Truth:
    """The truth of one image: its defective pixels on the evaluation grid. Regions are 8-connected parts of its mask.

    Attributes:
        shape: height and width of the mask.
        positions: [P] int32, the defective pixels in row order, ``row * width + column``.
    """

    shape: tuple[int, ...]
    positions: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> Truth:
        """The truth of a mask [H, W] bool."""
        return cls(mask.shape, np.flatnonzero(mask).astype(np.int32))

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> Truth:
        """The truth of a normal image."""
        return cls(shape, np.zeros(0, np.int32))

    @cached_property
    def sizes(self) -> np.ndarray:
        """[P] int32: the size in pixels of the region of each defective pixel."""
        from scipy import ndimage

        if not self.positions.size:
            return self.positions
        regions = ndimage.label(self.mask, structure=np.ones((3, 3)))[0].ravel()[self.positions]
        sizes: np.ndarray = np.bincount(regions).astype(np.int32)[regions]
        return sizes

    @property
    def marked(self) -> np.ndarray:
        """[M] int32: the pixels that are not normal; those that count and any others."""
        return self.positions

    @property
    def mask(self) -> np.ndarray:
        """The mask [H, W] bool, a new array at each call."""
        mask = np.zeros(self.shape, dtype=bool)
        mask.ravel()[self.positions] = True
        return mask
