"""The budget of a training: steps, batch and optimiser, fixed before the first step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The options that decide how long and how fast a network trains with Adam.

    Attributes:
        steps: in all; the last weights count.
        batch: examples of a step; all of them where there are fewer.
        rate: learning rate.
        decay: weight decay (added to the gradient, as in Adam's paper).
    """

    steps: int
    batch: int
    rate: float
    decay: float = 0.0
