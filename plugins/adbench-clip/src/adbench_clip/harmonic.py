"""Harmonic means, which join WinCLIP's windows and scales: one score near 0 makes the mean small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adbench import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def mean_over_windows(windows: Tensor, grid: tuple[int, int]) -> Tensor:
    """The harmonic mean, at each place, over all windows that cover it (WinCLIP, arXiv 2303.14814, Eq. 3).

    Windows have stride 1, so that a map of h x w windows on H x W places has windows of H - h + 1 by W - w + 1. A place
    with a window of score 0 gets 0.

    Args:
        windows: [B, h, w], scores of at least 0, of the windows from left to right and top to bottom.
        grid: H and W.

    Returns:
        [B, H, W].

    Raises:
        UsageError: there are more windows than places.
    """
    import torch
    from torch.nn.functional import pad

    (height, width), (rows, columns) = grid, windows.shape[1:]
    tall, wide = height - rows + 1, width - columns + 1
    if tall < 1 or wide < 1:
        raise UsageError(f"{rows}x{columns} windows cannot lie on {height}x{width} patches; give layers of windows")
    inverse = 1 / windows
    total, count = windows.new_zeros(len(windows), height, width), windows.new_zeros(height, width)
    for down in range(tall):
        for across in range(wide):
            beyond = (across, wide - 1 - across, down, tall - 1 - down)
            total, count = total + pad(inverse, beyond), count + pad(torch.ones_like(windows[0]), beyond)
    return count / total


def harmonic_mean(maps: Sequence[Tensor]) -> Tensor:
    """The harmonic mean of maps [B, H, W] of scores >= 0, place by place; it is 0 where a score is 0."""
    import torch

    return len(maps) / (1 / torch.stack(list(maps))).sum(0)
