"""The parts of an explanation: pixels of a patch, the nearest normal patch, shares of modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from adbench.api.comparisons.patch import PatchPlace
    from adbench.detector.fit.state import LearnedImage


class PatchBox(NamedTuple):
    """The pixels of a patch in its image: a grid cell, although the backbone looked at more around it.

    Attributes:
        left, top, right, bottom: in pixels of the original image; a pixel with index i covers [i, i + 1).
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def rounded(self) -> list[float]:
        """The sides in hundredths of a pixel, for tables."""
        return [round(side, 2) for side in self]


class Mode(NamedTuple):
    """The share of one mode in a squared distance.

    Attributes:
        number: from 1; along mode 1 normal patches vary most.
        share: of the squared distance.
    """

    number: int
    share: float


@dataclass(frozen=True, eq=False)
class Nearest:
    """The normal patch that is nearest to a patch.

    Attributes:
        image: that it belongs to.
        place: of the patch in its patch grid; None where the bank does not keep places.
        file: of the image, if it is there and its content is the one that was learned from.
        box: its pixels; None without a file or a place.
        pixels: [H, W, 3], the image, in the view of `place`; None without a file.
    """

    image: LearnedImage
    place: PatchPlace | None
    file: Path | None = None
    box: PatchBox | None = None
    pixels: np.ndarray | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As tables have it."""
        return {
            "image": self.image.name,
            "path": self.image.path,
            "sha256": self.image.sha256,
            "patch": None if self.place is None else self.place._asdict(),
            "box": None if self.box is None else self.box.rounded,
        }
