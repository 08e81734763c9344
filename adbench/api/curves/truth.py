"""The truth of an image: its defective pixels, in a compact form for curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

MaskedMap = tuple[np.ndarray, np.ndarray]
"""An anomaly map [H, W] float and its mask [H, W] bool."""


_NOWHERE = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Truth:
    """The truth of one image: its defective pixels on the evaluation grid. Regions are 8-connected parts of its mask.

    Attributes:
        shape: height and width of the mask.
        positions: [P] int32, the defective pixels in row order, ``row * width + column``.
        ignored: [I] int32, the pixels that count as nothing; none of them is defective.
    """

    shape: tuple[int, ...]
    positions: np.ndarray
    ignored: np.ndarray = field(default_factory=lambda: _NOWHERE, kw_only=True)

    @classmethod
    def of(cls, mask: np.ndarray, ignored: np.ndarray | None = None) -> Truth:
        """The truth of a mask [H, W] bool.

        Args:
            mask: True on defective pixels.
            ignored: [H, W] bool, pixels that count as nothing, whatever the mask says of them; None for none.
        """
        if ignored is None:
            return cls(mask.shape, np.flatnonzero(mask).astype(np.int32))
        defective, nothing = (np.flatnonzero(one).astype(np.int32) for one in (mask & ~ignored, ignored))
        return cls(mask.shape, defective, ignored=nothing)

    @classmethod
    def nothing(cls, shape: tuple[int, int], ignored: np.ndarray | None = None) -> Truth:
        """The truth of a normal image."""
        return cls(shape, _NOWHERE) if ignored is None else cls.of(np.zeros(shape, dtype=bool), ignored)

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
        return np.concatenate([self.positions, self.ignored]) if self.ignored.size else self.positions

    @property
    def mask(self) -> np.ndarray:
        """The mask [H, W] bool, a new array at each call."""
        mask = np.zeros(self.shape, dtype=bool)
        mask.ravel()[self.positions] = True
        return mask
