"""Greedy k-center beside the plain in-place torch loop, on 102,400 vectors of 152 channels; same selection or not.

    python benchmarks/kcenter.py                              gaussian, clustered and low-rank data; 1,024 steps
    python benchmarks/kcenter.py --features FILE.safetensors  the tensor "vectors" of a saved bank

The plain loop needs about 10 s for 1,024 steps; every contender takes its best of `--repeat` runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from adbench_memory.kcenter import greedy_k_center, plain_k_center
from torch import Tensor

START = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=102_400)
    parser.add_argument("--channels", type=int, default=152)
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the plain loop runs once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--features", type=Path, help="a safetensors file with the tensor 'vectors' [N, C]")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| data | ours, steps/s | plain loop, steps/s | ratio | same selection |")
    print("|---|---:|---:|---:|---|")
    for name, make in sources(arguments).items():
        vectors = make()
        count = min(arguments.count, len(vectors))
        ours, chosen = fastest(greedy_k_center, vectors, count, arguments.repeat)
        plain, expected = fastest(plain_k_center, vectors, count, 1)
        same = "yes" if torch.equal(chosen, expected) else "NO"
        size = f"{len(vectors):,} x {vectors.shape[1]}"
        print(
            f"| {name}, {size} | {count / ours:.0f} | {count / plain:.0f} | {plain / ours:.1f}x | {same} |", flush=True
        )


def sources(arguments: argparse.Namespace) -> dict[str, Callable[[], Tensor]]:
    if arguments.features:
        from safetensors.torch import load_file

        return {arguments.features.name: load_file(arguments.features)["vectors"].float}
    shape = arguments.points, arguments.channels
    return {
        "gaussian": lambda: noise(*shape),
        "clustered (200 clusters)": lambda: clustered(*shape),
        "low rank (6 of all channels)": lambda: noise(shape[0], 6) @ noise(6, shape[1]) + 0.05 * noise(*shape),
    }


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def clustered(points: int, channels: int) -> Tensor:
    members = torch.randint(200, (points,), generator=torch.Generator().manual_seed(0))
    return 3 * noise(200, channels)[members] + 0.5 * noise(points, channels)


def fastest(
    select: Callable[[Tensor, int, int], Tensor], vectors: Tensor, count: int, repeat: int
) -> tuple[float, Tensor]:
    """Seconds of the fastest of `repeat` runs, and the selection."""
    seconds, chosen = float("inf"), torch.empty(0)
    for _ in range(repeat):
        began = time.perf_counter()
        chosen = select(vectors, count, START)
        seconds = min(seconds, time.perf_counter() - began)
    return seconds, chosen


if __name__ == "__main__":
    main()
