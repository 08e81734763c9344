"""What images look like to a file reader: their sizes, whether they have colours, how many bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

_STEP = 16
"""Every so many pixels of a row and of a column are looked at for colours."""


class Appearance(NamedTuple):
    """What one image looks like.

    Attributes:
        height, width: in pixels.
        gray: whether its three channels are equal.
        deep: whether it has more than 8 bits a channel.
    """

    height: int
    width: int
    gray: bool
    deep: bool

    @classmethod
    def of(cls, pixels: np.ndarray) -> Appearance:
        """Of an image [H, W, 3]."""
        some = pixels[::_STEP, ::_STEP]
        gray = bool((some == some[..., :1]).all())
        return cls(pixels.shape[0], pixels.shape[1], gray, pixels.dtype != np.uint8)


class Learned(BaseModel):
    """What all images look like that a detector learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heights: tuple[int, int]
    widths: tuple[int, int]
    gray: tuple[bool, ...]
    deep: tuple[bool, ...]

    @classmethod
    def of(cls, found: Iterable[Appearance]) -> Learned | None:
        """Of some images; None of none."""
        all_of = list(found)
        if not all_of:
            return None
        heights, widths = [one.height for one in all_of], [one.width for one in all_of]
        return cls(
            heights=(min(heights), max(heights)),
            widths=(min(widths), max(widths)),
            gray=tuple(sorted({one.gray for one in all_of})),
            deep=tuple(sorted({one.deep for one in all_of})),
        )

    def differences(self, one: Appearance) -> Iterator[str]:
        """A sentence for each way in which an image is unlike all of them."""
        (low, high), (narrow, wide) = self.heights, self.widths
        if not (low <= one.height <= high and narrow <= one.width <= wide):
            usual = f"{_range(low, high)} x {_range(narrow, wide)}"
            yield f"it has {one.height} x {one.width} pixels, where the detector learned from {usual}"
        if one.gray not in self.gray:
            kinds = ("colours", "gray alone")
            yield f"it has {kinds[one.gray]}, where the detector learned from {kinds[not one.gray]}"
        if one.deep not in self.deep:
            kinds = ("8 bits a channel", "more than 8 bits a channel")
            yield f"it has {kinds[one.deep]}, where the detector learned from {kinds[not one.deep]}"


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
