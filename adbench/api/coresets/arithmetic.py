"""The small steps of a selection that a CPU and an accelerator do in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def squared_lengths(rows: Tensor) -> Tensor:
    """[M] squared norms of the rows of [M, C], whose content is lost; the same for a row whatever is beside it.

    An accelerator's sum adds in an order that depends on the number of rows. There the upper half of each row is added
    to the lower, again and again.
    """
    rows.mul_(rows)
    if on_cpu(rows):
        return rows.sum(1)
    width = rows.shape[1]
    while width > 1:
        half = (width + 1) // 2
        rows[:, : width - half].add_(rows[:, half:width])  # `+=` would copy each part onto itself, too
        width = half
    return rows[:, 0]


def argmin(rows: Tensor) -> Tensor:
    """[M] positions of the least of each row of [M, K]; on the CPU NumPy's way, which takes a twentieth of the time."""
    import torch

    return torch.from_numpy(rows.numpy().argmin(1)) if on_cpu(rows) else rows.argmin(1)


def places(mask: Tensor) -> Tensor:
    """[K] where a mask [N] is true, ascending; on the CPU NumPy's way, which skips what is false eight at a time."""
    import torch

    if not on_cpu(mask):
        return mask.nonzero().squeeze(1)
    import numpy as np

    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def largest(values: Tensor, count: int) -> Tensor:
    """[count] the positions of the largest values, in any order; on the CPU NumPy's way, as in `argmin`."""
    import torch

    if not on_cpu(values):
        return values.topk(count, sorted=False).indices
    return torch.from_numpy(values.numpy().argpartition(len(values) - count)[len(values) - count :])


def least_of_largest(values: Tensor, count: int) -> float:
    """The least of so many largest values."""
    if not on_cpu(values):
        return float(values.topk(count, sorted=False).values.amin())
    import numpy as np

    return float(np.partition(values.numpy(), len(values) - count)[len(values) - count])


def on_cpu(rows: Tensor) -> bool:
    return rows.device.type == "cpu"
