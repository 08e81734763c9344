"""What a backbone needs to know of its trunk; kept between processes, since timm takes seconds to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adbench import UsageError


@dataclass(frozen=True)
class TrunkFacts:
    """The facts of a trunk that need no trunk.

    Attributes:
        names: module names of the layers, of growing depth.
        mean, std: by which images of 0 to 1 are normalised, a number for each colour.
        size: height and width of the images that the model takes; None where it takes any.
        cell: height and width of a patch; 1 and 1 where there are none.
    """

    names: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    size: Sequence[int] | None
    cell: Sequence[int]

    def check_size(self, height: int, width: int, who: str) -> None:
        """Refuse images of a size that the model cannot take.

        Raises:
            UsageError: with the size that it takes.
        """
        if self.size is not None and [height, width] != list(self.size):
            raise UsageError(
                f"{who}: it takes images of {self.size[0]}x{self.size[1]} pixels, not {height}x{width}; resize"
            )
        down, across = self.cell
        if height % down or width % across:
            raise UsageError(
                f"{who}: {height}x{width} pixels cannot be cut into patches of {down}x{across}; resize, or add the "
                f"preprocessor 'crop-to-multiple' with of={down}"
            )
