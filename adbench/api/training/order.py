"""The order in which a training draws its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class ExampleOrder:
    """Draws batches of examples without repeating one before all others were drawn.

    Args:
        examples: how many there are.
        batch: how many a batch has; all examples where there are fewer.
        generator: shuffles them.
    """

    def __init__(self, examples: int, batch: int, generator: torch.Generator) -> None:
        import torch

        self._examples, self._batch, self._generator = examples, min(batch, examples), generator
        self._queue = torch.empty(0, dtype=torch.int64)

    def next(self) -> Tensor:
        """The indices of the next batch, [B] int64 on the CPU."""
        import torch

        if len(self._queue) < self._batch:
            again = torch.randperm(self._examples, generator=self._generator)
            self._queue = torch.cat([self._queue, again])
        chosen, self._queue = self._queue[: self._batch], self._queue[self._batch :]
        return chosen

    def state(self) -> dict[str, Tensor]:
        """Everything that the next batches depend on."""
        return {"generator": self._generator.get_state(), "queue": self._queue}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self._generator.set_state(state["generator"])
        self._queue = state["queue"]
