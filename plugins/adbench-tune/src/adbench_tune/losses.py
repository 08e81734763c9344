"""The losses of DINO and iBOT: the student's cross-entropy with what its teacher says.

Written from the papers and compared with lightly's (MIT) in the tests.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dino_loss(teacher: Tensor, student: Tensor, center: Tensor, *, sharp: float = 0.04, soft: float = 0.1) -> Tensor:
    """DINO's loss over all pairs of a teacher's view and another view of the student (2104.14294, equations 2 and 3).

    Args:
        teacher: [T, B, K] outputs for T views.
        student: [S, B, K] outputs for S >= T views, the first T of which are the teacher's.
        center: [K], taken off the teacher's outputs.
        sharp: the teacher's temperature.
        soft: the student's temperature.

    Returns:
        The mean over pairs of different views, and images.
    """
    crossed = [
        _cross_entropy(told, said, center, sharp, soft).mean()
        for here, told in enumerate(teacher)
        for there, said in enumerate(student)
        if here != there
    ]
    return torch.stack(crossed).mean()


def ibot_loss(
    teacher: Tensor, student: Tensor, masks: Tensor, center: Tensor, *, sharp: float = 0.04, soft: float = 0.1
) -> Tensor:
    """IBOT's loss on masked patches (2111.07832, equation 2).

    Args:
        teacher: [M, K] outputs for the M patches that the student did not see, image after image.
        student: [M, K] its outputs for these.
        masks: [B, H, W] bool, True on these.
        center: [K], taken off the teacher's outputs.
        sharp: the teacher's temperature.
        soft: the student's temperature.

    Returns:
        The mean over images of the mean over an image's masked patches; an image without any counts as zero.
    """
    losses = student.new_zeros(masks.shape)
    losses[masks] = _cross_entropy(teacher, student, center, sharp, soft)
    return (losses.sum(dim=(1, 2)) / masks.sum(dim=(1, 2)).clamp_min(1)).mean()


def _cross_entropy(teacher: Tensor, student: Tensor, center: Tensor, sharp: float, soft: float) -> Tensor:
    """The cross-entropy of each vector."""
    wanted = torch.softmax((teacher - center) / sharp, dim=-1)
    return -(wanted * torch.log_softmax(student / soft, dim=-1)).sum(dim=-1)


@torch.no_grad()
def follow_mean(center: Tensor, outputs: Tensor, momentum: float = 0.9) -> None:
    """Move a center [K], in place, towards the mean of a teacher's outputs [..., K] (2104.14294, equation 4)."""
    center.lerp_(outputs.flatten(0, -2).mean(dim=0), 1 - momentum)
