"""Optimisers whose learning rate falls to zero along half a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from adbench.training import Optimization

CLIP = 3.0
"""The largest norm of all gradients together (DINO)."""

WARM = 0.1
"""The share of steps in which the learning rate of `StagedAdam` rises."""


class CosineSgd(Optimization):
    """SGD with momentum at a rate that falls to zero.

    Args:
        rate: learning rate of the first step.
        momentum: of SGD.
        decay: weight decay.
        steps: in all.
    """

    def __init__(self, rate: float, momentum: float, decay: float, steps: int) -> None:
        self._rate, self._momentum, self._decay, self._steps = rate, momentum, decay, steps

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        self._made = torch.optim.SGD(parameters, lr=self._rate, momentum=self._momentum, weight_decay=self._decay)
        return self._made

    def before_step(self, step: int) -> None:
        self._made.param_groups[0]["lr"] = cosine_rate(self._rate, step, self._steps)


class StagedAdam(Optimization):
    """AdamW for a head that learns alone at first, and for blocks that learn with it afterwards.

    Args:
        blocks: parameters that learn later.
        rates: highest learning rates of the blocks and of the head.
        decay: weight decay, of matrices and kernels only.
        steps: in all.
        alone: the first of them, in which the head learns alone.
        after: called with the number of a step after it.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Parameter],
        *,
        rates: tuple[float, float],
        decay: float,
        steps: int,
        alone: int,
        after: Callable[[int], None],
    ) -> None:
        self._blocks, self._rates, self._decay = list(blocks), rates, decay
        self._steps, self._alone, self._after, self._step = steps, alone, after, 0

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        later = {id(one) for one in self._blocks}
        stages = [[one for one in parameters if (id(one) in later) == blocks] for blocks in (True, False)]
        groups = [group for stage, chosen in enumerate(stages) for group in self._groups(stage, chosen)]
        self._made = torch.optim.AdamW(groups, lr=self._rates[0])
        self._made.register_step_pre_hook(_clip)
        self._made.register_step_post_hook(lambda *_: self._after(self._step))
        return self._made

    def _groups(self, stage: int, parameters: Sequence[nn.Parameter]) -> list[dict[str, Any]]:
        """Parameters of a stage, those with weight decay first."""
        matrices = [one for one in parameters if one.ndim > 1]
        others = [one for one in parameters if one.ndim <= 1]
        found = ((matrices, self._decay), (others, 0.0))
        return [{"params": chosen, "weight_decay": decay, "stage": stage} for chosen, decay in found if chosen]

    def before_step(self, step: int) -> None:
        self._step, learning = step, step >= self._alone
        for one in self._blocks:
            one.requires_grad_(learning)
        begun = self._alone if learning else 0
        rates = (
            cosine_rate(self._rates[0], step - begun, self._steps - begun, round(WARM * (self._steps - begun))),
            cosine_rate(self._rates[1], step, self._steps, round(WARM * self._steps)),
        )
        for group in self._made.param_groups:
            group["lr"] = rates[group["stage"]]


def _clip(optimizer: torch.optim.Optimizer, *_: object) -> None:
    torch.nn.utils.clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], CLIP)


def cosine_rate(rate: float, step: int, steps: int, warm: int = 0) -> float:
    """The learning rate of a step: a straight line up to `rate` over `warm` steps, then half a cosine down to 0."""
    if step < warm:
        return rate * (step + 1) / warm
    return rate / 2 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
