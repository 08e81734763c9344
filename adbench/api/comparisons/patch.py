"""What the score of a patch is made of: the normal patch that it is nearest to, and who has which share in that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

Aspect = Literal["nearest", "place", "layers", "modes"]
"""What an explanation tells of a score beside the distance."""


class PatchPlace(NamedTuple):
    """The place of a patch in an image.

    Attributes:
        row, column: in the patch grid of the prepared image, from 0.
        rows, columns: of that grid.
        view: the number of the augmenter's view in which the image was shown, from 0; None for the image itself.
    """

    row: int
    column: int
    rows: int
    columns: int
    view: int | None = None


class NormalPatch(NamedTuple):
    """A patch of a normal image.

    Attributes:
        image: the id of the image, as the bank knows it.
        place: of the patch; None where the bank does not keep places.
    """

    image: str
    place: PatchPlace | None = None


@dataclass(frozen=True)
class PatchComparison:
    """What one patch was compared with, and what its distance consists of.

    Attributes:
        distance: from the patch to the nearest normal content: Euclidean, Mahalanobis or cosine, never squared; None
            for a scorer that does not say.
        nearest: the nearest normal patch; None where the bank keeps no patches.
        channels: [C] float, the share of each channel of the patch in the squared distance, together 1; None where
            channels have no shares.
        modes: [R] float, the share of each mode in the squared distance, together 1, by falling variance of normal
            patches along the mode; None where there are no modes.
        reasons: by aspect, why it is None, as a part of a sentence; not of modes where the bank has none by its nature.
    """

    distance: float | None = None
    nearest: NormalPatch | None = None
    channels: Tensor | None = None
    modes: Tensor | None = None
    reasons: Mapping[Aspect, str] = field(default_factory=dict)
