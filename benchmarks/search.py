"""Search: prepared once or at each call, faiss's exhaustive search, and approximate indexes with their recall.

    python benchmarks/search.py           exact search
    python benchmarks/search.py --index   the approximate index beside it (building it takes minutes)
    python benchmarks/search.py --exclude the same search with images left out, and among many equal vectors

All exact ways measure their candidates' distances directly; the answers are compared. The plain product without any
selection is what none can beat. Vectors are noise around a few thousand places, which is how features lie.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import faiss
import torch
from adbench_memory.index import ApproximateIndex, SearchConfig
from torch import Tensor

from adbench.search import ExactIndex, exact_search, nearest_among

CASES = [(1024, 1024, 152), (100, 200_000, 384), (784, 200_000, 384), (784, 200_000, 1536)]
INDEXES: list[dict[str, Any]] = [{"index": "hnsw"}, {"index": "hnsw", "ef": 16}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--index", action="store_true", help="measure the approximate indexes, not the exact search")
    parser.add_argument("--exclude", action="store_true", help="measure what leaving out images costs")
    parser.add_argument("--size", type=int, default=200_000, help="vectors in an approximate index")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    (approximate if arguments.index else excluding if arguments.exclude else exact)(arguments)


def exact(arguments: argparse.Namespace) -> None:
    print(
        "| queries x vectors x channels | metric | prepared, ms | unprepared, ms | faiss, ms | product alone, ms |",
        end="",
    )
    print(" unprepared / prepared | faiss / prepared | same |\n|---|---|---:|---:|---:|---:|---:|---:|---|")
    for queries, size, channels in CASES:
        query, vectors = features(queries, channels, 1), features(size, channels, 0)
        product, _ = fastest(lambda q=query, v=vectors: products(q, v), arguments.repeat)
        for metric in ("l2", "cosine"):
            ways = contenders(query, vectors, arguments.k, metric)
            times, answers = zip(*(fastest(way, arguments.repeat) for way in ways), strict=True)
            same = "yes" if all(torch.equal(answers[0][1], other[1]) for other in answers) else "NO"
            row = " | ".join(f"{1e3 * seconds:.1f}" for seconds in (*times, product))
            ratios = f"{times[1] / times[0]:.2f}x | {times[2] / times[0]:.2f}x"
            print(f"| {queries:,} x {size:,} x {channels} | {metric} | {row} | {ratios} | {same} |", flush=True)


def contenders(query: Tensor, vectors: Tensor, k: int, metric: str) -> list[Callable[[], tuple[Tensor, Tensor]]]:
    """Prepared once, prepared anew, and faiss on rows that were prepared once."""
    index = ExactIndex(vectors, metric)
    center = vectors.mean(0) if metric == "l2" else torch.zeros(1)
    prepare = (lambda rows: rows - center) if metric == "l2" else torch.nn.functional.normalize
    rows = prepare(vectors).numpy()

    def by_faiss() -> tuple[Tensor, Tensor]:
        _, found = faiss.knn(prepare(query).numpy(), rows, k + 4)
        return nearest_among(query, vectors, torch.from_numpy(found), k, metric)

    return [lambda: index.search(query, k), lambda: exact_search(query, vectors, k, metric), by_faiss]


def excluding(arguments: argparse.Namespace) -> None:
    """784 queries an image, 255 images that own the vectors; seconds of the processor, which others disturb least."""
    print("| queries x vectors x channels | metric | nothing left out, ms | strangers | images of the bank |")
    print("|---|---|---:|---:|---:|")
    for size, channels in ((200_000, 152), (200_000, 384)):
        query, vectors = features(784, channels, 1), features(size, channels, 0)
        owners = [f"image {number // 784}" for number in range(size)]
        asking = (None, ["a stranger"] * 784, ["image 3"] * 300 + ["image 4"] * 484)
        for metric in ("l2", "cosine"):
            index = ExactIndex(vectors, metric, owners=owners)
            index.search(query, arguments.k, asking[2])
            best = [float("inf")] * len(asking)
            for place in list(range(len(asking))) * arguments.repeat:  # in turns
                began = time.process_time()
                index.search(query, arguments.k, asking[place])
                best[place] = min(best[place], time.process_time() - began)
            ratios = " | ".join(f"{1e3 * seconds:.0f} ms, {seconds / best[0]:.2f}x" for seconds in best[1:])
            print(f"| 784 x {size:,} x {channels} | {metric} | {1e3 * best[0]:.0f} | {ratios} |", flush=True)
    crowded(arguments)


def crowded(arguments: argparse.Namespace) -> None:
    """Half of the vectors are copies of a few, as the even ground of photographs gives them."""
    query, vectors = features(784, 384, 1), features(100_000, 384, 0)
    vectors[::2], query[::2] = vectors[:20].repeat(2500, 1), vectors[:20].repeat(20, 1)[:392]
    seconds, (_, indices) = fastest(lambda: ExactIndex(vectors).search(query, arguments.k), arguments.repeat)
    lowest = int(indices[::2, 0].max())
    print(f"half of 100,000 vectors are copies of 20: {1e3 * seconds:.0f} ms; the highest index found is {lowest}")


def approximate(arguments: argparse.Namespace) -> None:
    query, vectors = features(784, 384, 1), features(arguments.size, 384, 0)
    exact, _ = fastest(lambda: ExactIndex(vectors).search(query, arguments.k), arguments.repeat)
    held_out = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:1000]
    print("| index | build, s | search, ms | exact / it | recall@1 | recall@10 | MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for options in INDEXES:
        began = time.perf_counter()
        index = ApproximateIndex(vectors, SearchConfig(**options), held_out)
        built = time.perf_counter() - began
        seconds, _ = fastest(lambda index=index: index.search(query, arguments.k), arguments.repeat)
        name = ", ".join(f"{name}={value}" for name, value in options.items())
        figures = f"{built:.1f} | {1e3 * seconds:.1f} | {exact / seconds:.1f}x"
        print(
            f"| {name} | {figures} | {index.recall[1]:.3f} | {index.recall[10]:.3f} | {index.megabytes:.0f} |",
            flush=True,
        )


def features(size: int, channels: int, seed: int) -> Tensor:
    """Noise of 32 directions around 4,000 places."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.randn(4000, 32, generator=torch.Generator().manual_seed(7))
    mixed = places[torch.randint(4000, (size,), generator=draw)] + 0.4 * torch.randn(size, 32, generator=draw)
    directions = torch.randn(32, channels, generator=torch.Generator().manual_seed(8))
    return mixed @ directions + 0.5 * torch.randn(size, channels, generator=draw)


def products(query: Tensor, vectors: Tensor) -> None:
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
