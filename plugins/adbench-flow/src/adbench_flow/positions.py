"""Sinusoidal codes of positions and of times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 10_000.0
"""The longest wave, in units of 2 pi (Vaswani et al., arXiv 1706.03762, section 3.5)."""


def waves(values: Tensor, length: int) -> Tensor:
    """Sines and cosines [..., length] of values [...], at `length` / 2 frequencies from 1 down to 1 / `LONGEST`."""
    import torch

    powers = torch.arange(0, length, 2, dtype=values.dtype, device=values.device) / length
    angles = values[..., None] * torch.exp(-math.log(LONGEST) * powers)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def position_codes(height: int, width: int, length: int) -> Tensor:
    """Codes [H * W, length] of the places of a grid, row after row: a half of the column, and a half of the row.

    The condition of CFLOW-AD (arXiv 2107.12571), up to the order of its values.

    Args:
        height: of the grid.
        width: of the grid.
        length: a multiple of four.
    """
    import torch

    columns = waves(torch.arange(width, dtype=torch.float32), length // 2).expand(height, width, -1)
    rows = waves(torch.arange(height, dtype=torch.float32), length // 2)[:, None].expand(height, width, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1).contiguous()
