"""Exact metrics of many pixels that lie on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from metrics import Scene

from adbench.api.curves.curve import Curve, curve_of_annotated
from adbench.api.curves.truth import Truth
from adbench.engine.evaluate.device_curve import AnnotatedMaps, curve_on_device
from gpu_rows.line import Line, Sizes
from gpu_rows.measuring import seconds

TOGETHER = 16
COMPARED = 8
"""Maps on which the figures are compared with those of the CPU's way."""


def metrics(sizes: Sizes, device: str) -> Iterator[Line]:
    """One curve gives all figures; making it is what takes the time."""
    maps, truths = drawn(sizes, device)
    batches = in_batches(maps, truths)
    taken = seconds(lambda: figures(curve_on_device(batches, device)), device)
    limit = seconds(lambda: [part.sort() for part in maps.ravel().split(1 << 26)], device)
    found = figures(curve_on_device(batches, device))
    names = ("AUROC", "AP", "F1-max", "AUPRO 0.3")
    told = ", ".join(f"{name} {value:.4f}" for name, value in zip(names, found, strict=True))
    note = (
        f"{maps.numel() / 1e6:.1f} million pixels; {told}; off the CPU's by {apart(maps, truths, device):.0e} at most"
    )
    yield Line("metrics", taken, limit, note=note, work=lambda: curve_on_device(batches, device))


def drawn(sizes: Sizes, device: str) -> tuple[torch.Tensor, list[Truth]]:
    """Maps of noise, higher by one on elliptic defects, and the truth about them, its regions known beforehand."""
    count = -(-sizes.pixels // sizes.map_side**2)
    scene, rng = Scene(count, sizes.map_side), np.random.default_rng(0)
    truths = [Truth.of(scene.mask(rng, good=image % 3 == 0)) for image in range(count)]
    assert all(len(truth.sizes) == len(truth.positions) for truth in truths)
    generator = torch.Generator(device).manual_seed(0)
    maps = torch.randn((count, sizes.map_side, sizes.map_side), device=device, generator=generator)
    for held, truth in zip(maps, truths, strict=True):
        held.ravel()[torch.from_numpy(truth.positions).long().to(device)] += 1
    return maps, truths


def in_batches(maps: torch.Tensor, truths: list[Truth]) -> Callable[[], Iterator[AnnotatedMaps]]:
    """What starts a walk over the maps, some at a time."""
    starts = range(0, len(maps), TOGETHER)
    return lambda: ((maps[start : start + TOGETHER], truths[start : start + TOGETHER]) for start in starts)


def figures(curve: Curve) -> tuple[float, ...]:
    """AUROC, AP, F1-max, AUPRO up to a false-positive rate of 0.3."""
    return tuple(value or 0.0 for value in (curve.auroc, curve.average_precision, curve.f1_max, curve.aupro(0.3)))


def apart(maps: torch.Tensor, truths: list[Truth], device: str) -> float:
    """By how much the figures of some maps differ from what the CPU's way gives."""
    host, known = maps[:COMPARED].cpu().numpy(), truths[:COMPARED]
    ours = figures(curve_on_device(lambda: islice(in_batches(maps[:COMPARED], known)(), None), device))
    other = figures(curve_of_annotated(lambda: zip(host, known, strict=True)))
    return max(abs(one - two) for one, two in zip(ours, other, strict=True))
