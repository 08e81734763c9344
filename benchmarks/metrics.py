"""Time and memory of all eight metrics on maps of 512x512 with realistic defects (about 3 % of the pixels).

    python benchmarks/metrics.py                    60 maps in memory, against scikit-learn and, if installed, anomalib
    python benchmarks/metrics.py --maps 60 1000     only ours, maps made anew in every walk: memory stays flat
    python benchmarks/metrics.py --device cuda --pixels 200000000
                                                    all pixel metrics of maps that lie on the GPU, against the CPU's way

Every measurement of the first two has a process of its own. Memory is the peak above what the process held, maps
included, at the start. Linux only: the peak is read from /proc.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from adbench.api.curves.curve import Curve

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

    def __init__(self, maps: int, size: int = SIZE) -> None:
        self.maps, self.size = maps, size
        self.walks = 0
        grid = np.arange(size // PATCH)
        self._bilinear = np.maximum(0, 1 - np.abs(np.arange(size)[:, None] / PATCH - grid)).astype(np.float32)

    def pair(self, image: int) -> Pair:
        rng = np.random.default_rng(image)
        mask = self.mask(rng, good=image % 3 == 0)
        patches = rng.standard_normal((self.size // PATCH, self.size // PATCH), dtype=np.float32)
        return self._bilinear @ patches @ self._bilinear.T + mask, mask

    def mask(self, rng: np.random.Generator, *, good: bool) -> np.ndarray:
        mask = np.zeros((self.size, self.size), dtype=bool)
        for _ in range(0 if good else rng.integers(1, 4)):
            mask |= self._ellipse(*rng.uniform(0, self.size, 2), *rng.uniform(20, 70, 2) * (self.size / SIZE))
        return mask

    def _ellipse(self, row: float, column: float, height: float, width: float) -> np.ndarray:
        along = np.arange(self.size)
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


def on_device(device: str, pixels: int) -> None:
    """Maps of 1024 x 1024 on the device; truth as the judge keeps it. The first call is not counted."""
    import torch

    from adbench.api.curves.curve import curve_of_annotated
    from adbench.api.curves.truth import Truth
    from adbench.engine.evaluate.device_curve import curve_on_device

    if device.startswith("cuda") and not torch.cuda.is_available():
        print(f"no GPU is there that torch sees: --device {device} is not measured")
        return
    side = 1024
    count = -(-pixels // side**2)
    scene, rng = Scene(count, side), np.random.default_rng(0)
    truths = [Truth.of(scene.mask(rng, good=image % 3 == 0)) for image in range(count)]
    assert all(len(truth.sizes) == len(truth.positions) for truth in truths)  # the regions are known beforehand
    generator = torch.Generator(device).manual_seed(0)
    maps = torch.randn((count, side, side), device=device, generator=generator)
    for held, truth in zip(maps, truths, strict=True):
        held.ravel()[torch.from_numpy(truth.positions).long().to(device)] += 1
    batches = [(maps[start : start + 16], truths[start : start + 16]) for start in range(0, count, 16)]
    ours = [timed(lambda: curve_on_device(lambda: iter(batches), device)) for _ in range(4)][1:]
    best, curve = min(ours, key=lambda pair: pair[0])
    peak = f", {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GB at most" if device != "cpu" else ""
    print(f"{maps.numel() / 1e6:.0f} Mpixel, {curve.positives / 1e6:.1f} of them defective, on {device}{peak}")
    print(f"{best:8.3f} s   every pixel metric; auroc {curve.auroc:.6f}, ap {curve.average_precision:.6f}")
    host = maps.cpu().numpy()
    seconds, other = timed(lambda: curve_of_annotated(lambda: zip(host, truths, strict=True)))
    figures = [(it.auroc, it.average_precision, it.f1_max, it.aupro(0.3), it.aupro(0.05)) for it in (curve, other)]
    apart = max(abs(one - two) for one, two in zip(*figures, strict=True))
    print(f"{seconds:8.3f} s   the CPU's way: {seconds / best:.0f}x; figures differ by at most {apart:.0e}")


def timed(work: Callable[[], Curve]) -> tuple[float, Curve]:
    """A curve is on the host: whatever the device had to do for it is done."""
    start = time.perf_counter()
    curve = work()
    return time.perf_counter() - start, curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, nargs="+", metavar="N", help="stream N maps, for each N; no comparison")
    parser.add_argument("--device", metavar="NAME", help="torch's name of a device; no comparison with others")
    parser.add_argument("--pixels", type=int, metavar="N", default=200_000_000, help="on --device; default %(default)s")
    options = parser.parse_args()
    if options.device:
        on_device(options.device, options.pixels)
        return
    chosen = options.maps
    if not Path("/proc/self/clear_refs").exists():
        parser.error("this system has no /proc/self/clear_refs, from which the peak memory is read: run it on Linux")
    if not chosen:
        compare(60)
    for maps in chosen or ():
        stream(maps)


if __name__ == "__main__":
    main()
