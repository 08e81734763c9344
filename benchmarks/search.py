"""Exact search on the CPU: candidates from faiss beside candidates from torch's matrix product and topk.

    python benchmarks/search.py

Both go through `exact_search`, which measures the candidates' distances directly; the answers are compared. The plain
product without any selection is what neither can beat.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import faiss
import torch
from adbench_memory.memory import faiss_shortlist

from adbench import exact_search

CASES = [(1024, 1024, 152), (784, 200_000, 384)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 9])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    print("| queries x vectors x channels | k | faiss, ms | torch, ms | product alone, ms | torch / faiss | same |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for queries, size, channels in CASES:
        generator = torch.Generator().manual_seed(0)
        query = torch.randn(queries, channels, generator=generator)
        vectors = torch.randn(size, channels, generator=generator)
        product, _ = fastest(lambda q=query, v=vectors: products(q, v), arguments.repeat)
        for k in arguments.k:
            ours, found = fastest(
                lambda q=query, v=vectors, k=k: exact_search(q, v, k, shortlist=faiss_shortlist), arguments.repeat
            )
            plain, expected = fastest(lambda q=query, v=vectors, k=k: exact_search(q, v, k), arguments.repeat)
            same = "yes" if all(map(torch.equal, found, expected)) else "NO"
            times = f"{ours * 1e3:.1f} | {plain * 1e3:.1f} | {product * 1e3:.1f} | {plain / ours:.2f}x"
            print(f"| {queries:,} x {size:,} x {channels} | {k} | {times} | {same} |", flush=True)


def products(query: torch.Tensor, vectors: torch.Tensor) -> None:
    for rows in torch.split(vectors, 1 << 14):
        torch.mm(query, rows.T)


def fastest(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Seconds of the fastest of `repeat` runs after one to warm up, and its answer."""
    answer, seconds = work(), float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        answer = work()
        seconds = min(seconds, time.perf_counter() - began)
    return seconds, answer


if __name__ == "__main__":
    main()
