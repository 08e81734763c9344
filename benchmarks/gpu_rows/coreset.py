"""Greedy k-center: every step looks for the point that is farthest from all chosen ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from adbench.coresets import greedy_cover, plain_k_center
from gpu_rows.card import bytes_a_second
from gpu_rows.line import Line, Sizes
from gpu_rows.measuring import once, seconds

START, PLAIN = 5, 200


def k_center(sizes: Sizes, device: str) -> Iterator[Line]:
    """Clustered vectors; what the plain loop selects first is compared."""
    vectors = clustered(sizes.points, sizes.channels).to(device)
    limit = 1e6 * vectors.nbytes / bytes_a_second(device, min(1 << 30, 16 * vectors.nbytes))
    greedy_cover(vectors, min(sizes.steps, 10), START)
    taken = once(lambda: greedy_cover(vectors, sizes.steps, START), device)
    few = min(sizes.steps, PLAIN)
    plain = 1e6 * seconds(lambda: plain_k_center(vectors, few, START), device, 1) / few
    mine, known = greedy_cover(vectors, few, START).index, plain_k_center(vectors, few, START)
    same = "the same" if torch.equal(mine, known) else f"NOT the same: {int((mine != known).sum())} differ"
    note = f"{taken:.2f} s in all; of the plain loop's first {few} choices {same}"
    yield Line(
        "k-center",
        1e6 * taken / sizes.steps,
        limit,
        note=note,
        work=lambda: greedy_cover(vectors, min(sizes.steps, 500), START),
    )
    yield Line("plain", plain, limit)


def clustered(points: int, channels: int) -> Tensor:
    """[points, channels]: noise of a few directions around places, which is how features lie."""
    draw = torch.Generator().manual_seed(0)
    rank = min(32, channels)
    places = torch.randn(4000, rank, generator=draw)
    mixed = places[torch.randint(4000, (points,), generator=draw)] + 0.4 * torch.randn(points, rank, generator=draw)
    rows = mixed @ torch.randn(rank, channels, generator=draw)
    return rows + 0.5 * torch.randn(points, channels, generator=draw)
