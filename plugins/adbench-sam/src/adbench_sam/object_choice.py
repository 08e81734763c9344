"""The choice of the object among the proposed masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from adbench_sam.proposals import Proposals, unpacked

if TYPE_CHECKING:
    from torch import Tensor

Keep = Literal["largest", "confident", "all"]


def foreground(proposals: Proposals, shape: tuple[int, int], keep: Keep, border_share: float) -> Tensor:
    """The object's mask [H, W] bool; empty if no proposal qualifies.

    A mask is background, and no object, where it holds more than the share `border_share` of the pixels along the
    image's border. An object on a ground that surrounds it touches little of the border, the ground most of it; one
    that is cut off by one side of the image holds about a quarter.

    Args:
        proposals: masks of one image.
        shape: height and width of the image.
        keep: of the masks that are left: ``"largest"`` by area, ``"confident"`` by predicted IoU, or ``"all"`` of them
            together. Of equals the first.
        border_share: from 0 to 1; 1 takes no mask for background.
    """
    import torch

    candidates = ((proposals.border <= border_share) & (proposals.areas > 0)).nonzero()[:, 0]
    if len(candidates) == 0:
        return torch.zeros(shape, dtype=torch.bool)
    left = proposals.picked(candidates)
    if keep != "all":
        best = (left.areas if keep == "largest" else left.ious).argmax()
        left = left.picked(best[None])
    found = torch.zeros(shape, dtype=torch.bool)
    for mask in unpacked(left, *shape):
        found |= mask
    return found
