"""Greedy k-center as it is defined: what faster ways have to select."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from adbench.api.coresets import arithmetic

if TYPE_CHECKING:
    from torch import Tensor


def plain_k_center(vectors: Tensor, count: int, start: int, ceiling: Tensor | None = None) -> Tensor:
    """Greedy k-center as it is defined: one pass over all points a step, the lowest index among equals."""
    import torch

    chosen = torch.empty(count, dtype=torch.int64, device=vectors.device)
    nearest = torch.full((len(vectors),), math.inf, device=vectors.device) if ceiling is None else ceiling.clone()
    difference = torch.empty_like(vectors)
    chosen[0] = start
    for step in range(1, count):
        torch.sub(vectors, vectors[chosen[step - 1]], out=difference)
        torch.minimum(nearest, arithmetic.squared_lengths(difference), out=nearest)
        chosen[step] = nearest.argmax()
    return chosen
