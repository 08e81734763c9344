"""Figures of a training that belong into a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EDGE = 50
"""Steps at either end whose mean loss is among the facts."""


def loss_facts(losses: Tensor) -> dict[str, float]:
    """The mean losses of the first and of the last 50 steps, for `Bank.facts`.

    Args:
        losses: [steps].
    """
    return {"loss_first": float(losses[:EDGE].mean()), "loss_last": float(losses[-EDGE:].mean())}
