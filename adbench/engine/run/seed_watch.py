"""Whether a unit drew random numbers: one that drew none gives the same scores with every seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from adbench.api.context import Context


@dataclass(frozen=True)
class WatchedContext(Context):
    """A context that knows whether its seed was read. A copy of it reads the seed, too."""

    seed_read: bool = field(default=False, init=False, compare=False)

    def __getattribute__(self, name: str) -> Any:
        if name == "seed":
            object.__setattr__(self, "seed_read", True)
        return super().__getattribute__(name)


class SeedWatch:
    """Whether something was drawn since it was made: from a context, or, against the rules, from a global generator."""

    def __init__(self, ctx: WatchedContext) -> None:
        self._ctx, self._before = ctx, _global_states(ctx.device)

    @property
    def drew(self) -> bool:
        """Whether another seed could have given something else."""
        return self._ctx.seed_read or _global_states(self._ctx.device) != self._before


def _global_states(device: str) -> list[object]:
    """The states of the global generators."""
    numpy: Any = np.random.get_state()  # noqa: NPY002
    states = [random.getstate(), numpy[1].tobytes(), numpy[2:], torch.get_rng_state().numpy().tobytes()]
    if device.startswith("cuda"):
        states.append(torch.cuda.get_rng_state(device).cpu().numpy().tobytes())
    return states
