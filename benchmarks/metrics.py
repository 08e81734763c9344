"""Time and memory of all eight metrics on maps of 512x512 with realistic defects (about 3 % of the pixels).

    python benchmarks/metrics.py                    60 maps in memory, against scikit-learn and, if installed, anomalib
    python benchmarks/metrics.py --maps 60 1000     only ours, maps made anew in every walk: memory stays flat

Every measurement has a process of its own. Memory is the peak above what the process held, maps included, at the start.
Linux only: the peak is read from /proc.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]
Figures = dict[str, float]
SIZE, PATCH = 512, 8


class Cost(NamedTuple):
    """What a contender took and what it found."""

    seconds: float
    megabytes: float
    walks: int
    figures: Figures


class Scene:
    """Maps that look like a method's: bilinear blow-ups of patch scores, raised in elliptic defects."""

    def __init__(self, maps: int) -> None:
        self.maps = maps
        self.walks = 0
        grid = np.arange(SIZE // PATCH)
        self._bilinear = np.maximum(0, 1 - np.abs(np.arange(SIZE)[:, None] / PATCH - grid)).astype(np.float32)

    def pair(self, image: int) -> Pair:
        rng = np.random.default_rng(image)
        mask = np.zeros((SIZE, SIZE), dtype=bool)
        for _ in range(rng.integers(1, 4) if image % 3 else 0):  # every third image is good
            mask |= self._ellipse(*rng.uniform(0, SIZE, 2), *rng.uniform(20, 70, 2))
        patches = rng.standard_normal((SIZE // PATCH, SIZE // PATCH), dtype=np.float32)
        return self._bilinear @ patches @ self._bilinear.T + mask, mask

    @staticmethod
    def _ellipse(row: float, column: float, height: float, width: float) -> np.ndarray:
        along = np.arange(SIZE)
        return ((along - row) / height)[:, None] ** 2 + ((along - column) / width) ** 2 < 1

    def walk(self) -> Iterator[Pair]:
        self.walks += 1
        return map(self.pair, range(self.maps))


def all_eight(pairs: Callable[[], Iterable[Pair]], images: int) -> Callable[[], Figures]:
    from adbench.api.metric import Evidence
    from adbench.builtin import metrics_image, metrics_pixel

    parts = {**vars(metrics_image), **vars(metrics_pixel)}.values()
    metrics = [part() for part in parts if isinstance(part, type) and hasattr(part, "name")]
    labels = np.arange(images) % 3 > 0
    scores = (np.random.default_rng(0).standard_normal(images) + labels).astype(np.float32)

    def contend() -> Figures:
        evidence = Evidence(labels, scores, lambda: iter(pairs()))
        return {metric.name: metric.measure(evidence).value for metric in metrics}

    return contend


def scikit_learn(pairs: list[Pair]) -> Callable[[], Figures]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, labels = (np.concatenate([array.ravel() for array in column]) for column in zip(*pairs, strict=True))
    pairs.clear()
    return lambda: {
        "pixel-auroc": float(roc_auc_score(labels, scores)),
        "pixel-ap": float(average_precision_score(labels, scores)),
    }


def anomalib(pairs: list[Pair]) -> Callable[[], Figures]:
    import torch
    from anomalib.metrics.aupro import _AUPRO

    scores, masks = (torch.from_numpy(np.stack(column)) for column in zip(*pairs, strict=True))
    pairs.clear()

    def contend() -> Figures:
        metric = _AUPRO(fpr_limit=0.3)
        metric.update(scores, masks.int())
        return {"pixel-aupro-30": float(metric.compute())}

    return contend


def measured(contender: str, maps: int) -> Cost:
    """Run in a fresh process."""
    scene = Scene(maps)
    all_eight(Scene(3).walk, 3)()  # imports and first calls
    if contender == "adbench, streamed":
        return cost(all_eight(scene.walk, maps), scene)
    pairs = list(scene.walk())
    if contender == "adbench":
        return cost(all_eight(lambda: pairs, maps), scene)
    return cost({"scikit-learn": scikit_learn, "anomalib": anomalib}[contender](pairs), scene)


def cost(contend: Callable[[], Figures], scene: Scene) -> Cost:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts again from here
    held, walks, start = memory("VmRSS"), scene.walks, time.perf_counter()
    figures = contend()
    return Cost(time.perf_counter() - start, memory("VmHWM") - held, scene.walks - walks, figures)


def memory(field: str) -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def in_own_process(contender: str, maps: int) -> Cost:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (contender, maps))


def compare(maps: int) -> None:
    print(f"{maps} maps of {SIZE}x{SIZE} in memory ({maps * SIZE * SIZE / 1e6:.1f} Mpixel)")
    ours = in_own_process("adbench", maps)
    print(f"{'adbench':14}{ours.seconds:8.2f} s {ours.megabytes:7.0f} MB   all eight metrics")
    for peer in ("scikit-learn", "anomalib"):
        if importlib.util.find_spec(peer.replace("scikit-learn", "sklearn")) is None:
            print(f"{peer:14} not installed")
            continue
        theirs = in_own_process(peer, maps)
        apart = max(abs(ours.figures[name] - value) for name, value in theirs.figures.items())
        print(
            f"{peer:14}{theirs.seconds:8.2f} s {theirs.megabytes:7.0f} MB   {', '.join(theirs.figures)}; ours takes"
            f" {theirs.seconds / ours.seconds:.1f}x less time; figures differ by at most {apart:.0e}"
        )
    print("   ".join(f"{name} {value:.4f}" for name, value in ours.figures.items()))


def stream(maps: int) -> None:
    ours = in_own_process("adbench, streamed", maps)
    print(
        f"{maps:5d} maps of {SIZE}x{SIZE}, made in each walk: {ours.megabytes:5.0f} MB above the start, "
        f"{ours.seconds:7.1f} s with {ours.walks} walks and the making of the maps",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, nargs="+", metavar="N", help="stream N maps, for each N; no comparison")
    chosen = parser.parse_args().maps
    if not Path("/proc/self/clear_refs").exists():
        parser.error("this system has no /proc/self/clear_refs, from which the peak memory is read: run it on Linux")
    if not chosen:
        compare(60)
    for maps in chosen or ():
        stream(maps)


if __name__ == "__main__":
    main()
