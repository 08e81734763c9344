"""Greedy k-center beside the plain in-place torch loop.

    python benchmarks/kcenter.py                              short vectors, and vectors as long as ResNet-50's
    python benchmarks/kcenter.py --features FILE.safetensors  the tensor "vectors" of a saved bank

The plain loop takes as long for each step as for the first, and runs for `--plain` seconds only; what it has selected
until then is compared. Every other contender takes its best of `--repeat` runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adbench.coresets import greedy_cover, plain_k_center

START = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=0.01)
    parser.add_argument("--points", type=int, default=200_000, help="long vectors")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--plain", type=float, default=10, help="seconds for the plain loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--features", type=Path, help="a safetensors file with the tensor 'vectors' [N, C]")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| data | steps | ours, s | plain loop, s (from its first steps) | ratio | same |")
    print("|---|---:|---:|---:|---:|---|")
    for name, make in sources(arguments).items():
        print(row(name, make(), arguments), flush=True)


def row(name: str, vectors: Tensor, arguments: argparse.Namespace) -> str:
    count = max(1, int(len(vectors) * arguments.fraction))
    ours, selection = fastest(lambda: greedy_cover(vectors, count, START), arguments.repeat)
    step, known = plain_step(vectors, min(count, 100), arguments.plain)
    same = "yes" if torch.equal(selection.index[: len(known)], known) else "NO"
    return (
        f"| {name}, {len(vectors):,} x {vectors.shape[1]} | {count} | {ours:.2f} | {count * step:.0f} "
        f"| {count * step / ours:.1f}x | {same}, {len(known)} steps |"
    )


def sources(arguments: argparse.Namespace) -> dict[str, Callable[[], Tensor]]:
    if arguments.features:
        from safetensors.torch import load_file

        return {arguments.features.name: load_file(arguments.features)["vectors"].float}
    short, long = (102_400, 152), (arguments.points, 1536)
    return {
        "gaussian": lambda: noise(*short),
        "clustered (200 clusters)": lambda: clustered(*short),
        "low rank (6 of all channels)": lambda: noise(short[0], 6) @ noise(6, short[1]) + 0.05 * noise(*short),
        "clustered (200 clusters) ": lambda: clustered(*long),
        "decaying (variance of channel j as 1 / j^1.6)": lambda: noise(*long) * torch.arange(1, 1537) ** -0.8,
    }


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def clustered(points: int, channels: int) -> Tensor:
    members = torch.randint(200, (points,), generator=torch.Generator().manual_seed(0))
    return noise(points, channels).mul_(0.5).add_(3 * noise(200, channels)[members])


def plain_step(vectors: Tensor, most: int, seconds: float) -> tuple[float, Tensor]:
    """Seconds of one step of the plain loop, and what it selects in about so many seconds."""
    began = time.perf_counter()
    plain_k_center(vectors, 3, START)
    steps = min(most, max(3, int(2 * seconds / (time.perf_counter() - began))))
    took, known = fastest(lambda: plain_k_center(vectors, steps, START), 1)
    return took / max(1, steps - 1), known


def fastest(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Seconds of the fastest of `repeat` runs, and its answer."""
    answer, seconds = None, float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        answer = work()
        seconds = min(seconds, time.perf_counter() - began)
    return seconds, answer


if __name__ == "__main__":
    main()
