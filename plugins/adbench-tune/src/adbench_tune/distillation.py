"""A student and its teacher, which follows the student slowly: what DINO and iBOT share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn

from adbench_tune.heads import ProjectionHead
from adbench_tune.losses import dino_loss, follow_mean, ibot_loss
from adbench_tune.masking import MaskToken, patch_layer


class Distillation(nn.Module):
    """A student's network with its heads, and a teacher's, which is a moving average of the student's.

    Args:
        network: the student's; the teacher begins as a copy.
        heads: by name: ``image``, and ``patch`` where patches are masked.
        token: in place of masked patches; None for none.
    """

    def __init__(self, network: nn.Module, heads: Mapping[str, ProjectionHead], token: MaskToken | None = None) -> None:
        super().__init__()
        self.student, self.heads, self.token = network, nn.ModuleDict(heads), token
        self.teacher, self.teacher_heads = deepcopy(network), deepcopy(self.heads)
        for name, head in heads.items():
            self.register_buffer(f"center_{name}", torch.zeros(len(head.prototypes.weight)))
        for part in (self.teacher, self.teacher_heads):
            part.requires_grad_(requires_grad=False)

    def follow(self, momentum: float) -> None:
        """Move the teacher's parameters towards the student's (2104.14294, section 3.1)."""
        for teacher, student in ((self.teacher, self.student), (self.teacher_heads, self.heads)):
            move_towards(teacher.parameters(), student.parameters(), momentum)

    @torch.no_grad()
    def grid(self, view: Tensor) -> tuple[int, int]:
        """Rows and columns of patches of a view [B, 3, H, W]."""
        rows, columns = self.teacher(view)[-2].shape[1:3]
        return int(rows), int(columns)

    def loss(self, shown: Tensor, small: Sequence[Tensor], sharp: float, masks: Tensor | None = None) -> Tensor:
        """The loss of a step: DINO's, and iBOT's where patches are masked.

        Args:
            shown: [2, B, 3, H, W], the global views.
            small: local views [B, 3, h, w].
            sharp: the teacher's temperature.
            masks: [2, B, H', W'] bool, True on patches of the global views that the student does not see.
        """
        with torch.no_grad():
            told = [self.teacher(view) for view in shown]
        hidden = [None] * len(shown) if masks is None else list(masks)
        said = [self._seen(view, mask) for view, mask in zip(shown, hidden, strict=True)]
        local = [self.student(view) for view in small]
        loss = self._image_loss([out[-1] for out in told], [out[-1] for out in (*said, *local)], sharp)
        if masks is None:
            return loss
        joined = masks.flatten(0, 1)
        teacher, student = (torch.cat([out[-2] for out in outs]) for outs in (told, said))
        return loss + self._patch_loss(teacher, student, joined, sharp)

    def _seen(self, view: Tensor, mask: Tensor | None) -> list[Tensor]:
        """What the student says of a view, without the masked patches."""
        hiding = nullcontext()
        if mask is not None:
            assert self.token is not None
            hiding = self.token.hiding(patch_layer(self.student, "this tuner"), mask)  # type: ignore[assignment]
        with hiding:
            found: list[Tensor] = self.student(view)
        return found

    def _image_loss(self, teacher: Sequence[Tensor], student: Sequence[Tensor], sharp: float) -> Tensor:
        with torch.no_grad():
            told = torch.stack([self.teacher_heads["image"](vectors) for vectors in teacher])
        said = torch.stack([self.heads["image"](vectors) for vectors in student])
        loss = dino_loss(told, said, self.get_buffer("center_image"), sharp=sharp)
        follow_mean(self.get_buffer("center_image"), told)
        return loss

    def _patch_loss(self, teacher: Tensor, student: Tensor, masks: Tensor, sharp: float) -> Tensor:
        with torch.no_grad():
            told = self.teacher_heads["patch"](teacher[masks])
        loss = ibot_loss(told, self.heads["patch"](student[masks]), masks, self.get_buffer("center_patch"), sharp=sharp)
        follow_mean(self.get_buffer("center_patch"), told)
        return loss


@torch.no_grad()
def move_towards(followers: Iterable[Tensor], leaders: Iterable[Tensor], momentum: float) -> None:
    """Move parameters, in place, towards others: each keeps the share `momentum` of itself."""
    for follower, leader in zip(followers, leaders, strict=True):
        follower.lerp_(leader.detach(), 1 - momentum)
