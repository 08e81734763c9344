"""A bank of all vectors of ResNet-50 on magnetic tiles: the exact search of a slice beside the products that bound it.

    python benchmarks/full_bank.py                 one image's queries among 65,536 vectors of 1,536 channels
    python benchmarks/full_bank.py --decay 0.55    those whose leading axes hold less

Processor seconds of one thread, the best of some turns. The vectors are synthetic; their standard deviations fall as a
power along their axes. Minutes of the whole (all test images among all vectors of the training images) are the slice's
times the number of slices: the whole was not run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from adbench.search import ExactIndex

CHANNELS, AXES, BLOCK = 1536, 256, 8192
PATCHES, TRAIN, TEST = 1600, 761, 579


def drawn(count: int, basis: Tensor, scale: Tensor, draw: torch.Generator) -> Tensor:
    """[N, C] vectors, a block at a time."""
    sizes = [min(BLOCK, count - start) for start in range(0, count, BLOCK)]
    return torch.cat([(torch.randn(size, CHANNELS, generator=draw) * scale) @ basis for size in sizes])


def products(queries: int, vectors: int, channels: int, kind: torch.dtype) -> Callable[[], None]:
    """The matrix product of a search without anything else."""
    query, rows = torch.randn(queries, channels).to(kind), torch.randn(BLOCK, channels).to(kind)

    def work() -> None:
        for start in range(0, vectors, BLOCK):
            torch.mm(query, rows[: vectors - start].T)

    return work


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1 << 16)
    parser.add_argument("--decay", type=float, default=0.7)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    scale = torch.arange(1, CHANNELS + 1).float().pow(-options.decay)
    basis = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=draw))[0]
    vectors = drawn(options.vectors, basis, scale, draw)
    query = vectors[:PATCHES] + 0.05 * drawn(PATCHES, basis, scale, draw)
    held = float(scale[:AXES].square().sum() / scale.square().sum())
    index = ExactIndex(vectors)
    ways = {
        f"product of {AXES} axes, float32": products(PATCHES, options.vectors, AXES, torch.float32),
        f"product of {AXES} axes, bfloat16": products(PATCHES, options.vectors, AXES, torch.bfloat16),
        f"product of all {CHANNELS:,} channels, bfloat16": products(PATCHES, options.vectors, CHANNELS, torch.bfloat16),
        "exact search": lambda: index.search(query, 1),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.turns):
        for name, work in ways.items():
            best[name] = min(best[name], seconds(work))
    slices = TRAIN * PATCHES / options.vectors * TEST
    print(f"{PATCHES:,} queries among {options.vectors:,} vectors, of which {AXES} axes hold {held:.0%}")
    print("| what | s | of the search | minutes for all |\n|---|---:|---:|---:|")
    for name, took in best.items():
        print(f"| {name} | {took:.2f} | {took / best['exact search']:.2f}x | {took * slices / 60:.0f} |")


if __name__ == "__main__":
    main()
