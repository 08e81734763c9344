"""What the card can do at most: bytes and products a second."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gpu_rows.line import Line, Sizes
from gpu_rows.measuring import pinned, seconds


def rates(sizes: Sizes, device: str) -> Iterator[Line]:
    """Copying, multiplying, fetching; medians would be lower, the best of five counts."""
    taken = seconds(*_copying(sizes.copied, device), repeat=5)
    yield Line("copy", 2 * sizes.copied / taken / 1e9, note="the best of five")
    yield Line("product", 2 * sizes.matrix**3 / seconds(*_product(sizes.matrix, device), repeat=5) / 1e12)
    images = pinned(torch.rand(sizes.batch, 3, sizes.side, sizes.side), device)
    taken = seconds(lambda: images.to(device, non_blocking=True), device, repeat=5)
    yield Line("upload", images.nbytes / taken / 1e9, note=f"{images.nbytes / 1e6:.0f} MB: {1e3 * taken:.2f} ms")


def _copying(size: int, device: str):
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), device


def _product(side: int, device: str):
    generator = torch.Generator(device).manual_seed(0)
    one, other = (torch.randn(side, side, device=device, generator=generator).bfloat16() for _ in range(2))
    return lambda: one @ other, device


def bytes_a_second(device: str, size: int = 1 << 30) -> float:
    """How many bytes the device reads, or writes, in a second while it copies."""
    work, where = _copying(size, device)
    return 2 * size / seconds(work, where)
