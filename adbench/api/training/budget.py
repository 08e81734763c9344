"""The budget of a training: steps, batch and optimiser, fixed before the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Budget:
    """The options that decide how long and how fast a network trains.

    Attributes:
        steps: in all; the last weights count.
        batch: examples of a step; all of them where there are fewer.
        rate: learning rate of Adam; an `Optimization` may have its own.
        decay: weight decay of Adam (added to the gradient, as in its paper).
    """

    steps: int
    batch: int
    rate: float
    decay: float = 0.0


class Optimization(ABC):
    """The optimiser of a training that needs another one than Adam at a fixed rate."""

    @abstractmethod
    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """The optimiser of these parameters, made once for a training; its state must consist of tensors and numbers.

        A limit on gradients is a hook of the optimiser (`register_step_pre_hook`) that returns None.

        Args:
            parameters: of the network, those that learn.
        """

    def before_step(self, step: int) -> None:
        """Set what depends on the step alone, such as the learning rate. Optional.

        Args:
            step: its number, from 0; a training that was stopped goes on with the number at which it stopped.
        """
