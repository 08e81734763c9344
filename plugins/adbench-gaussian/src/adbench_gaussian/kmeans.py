"""k-means: Lloyd, "Least squares quantization in PCM" (1982), from the seeds of Arthur and Vassilvitskii (2007)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.search import exact_search

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK = 1 << 22
"""Elements of a temporary."""


def k_means(rows: Tensor, count: int, iterations: int, generator: torch.Generator) -> Tensor:
    """Centers of clusters: each the mean of the rows that are nearer to it than to the others.

    Args:
        rows: [N, C] float32.
        count: how many centers.
        iterations: of Lloyd's; fewer once nothing changes.
        generator: for the seeds.

    Returns:
        [K, C] float32; fewer than `count` where fewer rows differ. A center that loses all rows stays where it is.
    """
    centers = spread_seeds(rows, count, generator)
    for _ in range(iterations):
        moved = _means(rows, exact_search(rows, centers, 1)[1][:, 0], centers)
        if moved.equal(centers):
            break
        centers = moved
    return centers


def spread_seeds(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows [K, C], each drawn in proportion to the squared distance to those before ("k-means++", 2007).

    Fewer than `count` where all others coincide with a drawn one.
    """
    import torch

    index = [int(torch.randint(len(rows), (), generator=generator))]
    squared = _squared_distances(rows, rows[index[0]])
    while len(index) < count and float(squared.max()) > 0:
        odds = squared.double().cpu().cumsum(0)
        aim = torch.rand((), generator=generator, dtype=torch.float64) * odds[-1]
        index.append(min(int(torch.searchsorted(odds, aim, right=True)), len(rows) - 1))
        squared = torch.minimum(squared, _squared_distances(rows, rows[index[-1]]))
    return rows[index]


def _means(rows: Tensor, nearest: Tensor, centers: Tensor) -> Tensor:
    """[K, C] means of the rows that are nearest to each center.

    By matrix products: sums that are scattered would be added in another order each time on a GPU.
    """
    import torch

    sums, counts = torch.zeros_like(centers, dtype=torch.float64), centers.new_zeros(len(centers), dtype=torch.float64)
    height = max(1, BLOCK // max(len(centers), rows.shape[1]))
    for part, near in zip(torch.split(rows, height), torch.split(nearest, height), strict=True):
        member = torch.nn.functional.one_hot(near, len(centers)).to(rows)
        sums += (member.T @ (part - rows[0])).double()
        counts += member.sum(0)
    means = (sums / counts.clamp(min=1)[:, None]).float() + rows[0]
    return torch.where(counts[:, None] > 0, means, centers)


def _squared_distances(rows: Tensor, center: Tensor) -> Tensor:
    """[N], from the differences, so that coinciding rows are at 0."""
    import torch

    height = max(1, BLOCK // rows.shape[1])
    return torch.cat([(part - center).square_().sum(1) for part in torch.split(rows, height)])
