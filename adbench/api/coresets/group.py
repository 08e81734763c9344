"""Points of a greedy k-center selection, with their distances so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Group:
    """Some of the points that k-center selects among.

    Attributes:
        index: [M] which they are.
        distance: [M] squared distances to the nearest of the centers that they were compared with, or upper bounds.
        exact: [M] which of the distances are exact, and not bounds.
        sketch: [M, P] and
        own: [M]: their parts of `Sketches`.
        rows: [M, C] their vectors, relative to the mean, or None.
    """

    index: Tensor
    distance: Tensor
    exact: Tensor
    sketch: Tensor
    own: Tensor
    rows: Tensor | None = None

    def farthest(self) -> tuple[float, int]:
        """The largest distance, and the first point that has it: one transfer, as a GPU waits for each."""
        import torch

        place = self.distance.argmax(0, keepdim=True)
        both = torch.cat([self.distance.index_select(0, place).double(), self.index.index_select(0, place).double()])
        distance, index = both.tolist()
        return distance, int(index)

    def some(self, keep: Tensor) -> Group:
        """A packed copy of these points."""
        kept = (part.index_select(0, keep) for part in (self.index, self.distance, self.exact, self.sketch, self.own))
        return Group(*kept)
