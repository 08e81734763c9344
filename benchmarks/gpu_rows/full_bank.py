"""DINOv3 and a full bank, many images together and one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from unittest.mock import patch

import timm
import torch
from adbench_dino.dinov3 import DinoV3
from adbench_dino.forward import cache_rotary_tables
from adbench_memory.full import Full
from adbench_memory.knn import Knn
from torch import Tensor

from adbench import Batch, Context, Features, FeatureStream, Geometry
from adbench.search import ExactIndex
from gpu_rows.line import Line, Sizes
from gpu_rows.measuring import Work, graphed, seconds, typical, wait
from gpu_rows.scenes import WEAVES, picture, texture

PRECISION = "bfloat16"


def full_bank(sizes: Sizes, device: str) -> Iterator[Line]:
    """Batches that lie in memory: features, then scores."""
    parts = Parts(sizes, device)
    batches = [parts.batch(sizes.batch, first * sizes.batch) for first in range(4)]
    images = sizes.batch * sizes.batches

    def every(work) -> Work:
        def walk() -> None:
            for _, batch in zip(range(sizes.batches), cycle(batches), strict=False):
                work(batch)

        return walk

    bare = 1e3 * seconds(parts.bare_forward(sizes.batch), device, 10) / sizes.batch
    extract = 1e3 * seconds(every(parts.backbone.extract), device) / images
    note = f"{1e3 / bare:.0f} images/s bare, {1e3 / extract:.0f} with images fetched from memory, {PRECISION}"
    yield Line("forward", extract, bare, note=note, work=every(parts.backbone.extract))
    query = parts.backbone.extract(batches[0]).patches.flatten(0, 2)
    search = 1e3 * seconds(lambda: parts.index.search(query, 1), device, 10) / sizes.batch
    scored = 1e3 * seconds(every(parts.score), device) / images
    again = parts.asked_again(query)
    note = f"search {search:.3f} ms an image; {again:.2%} of the patches searched in float32"
    yield Line("full-bank", scored, bare + search, note=note, work=every(parts.score))


def one_image(sizes: Sizes, device: str) -> Iterator[Line]:
    """Images one at a time, as at a production line."""
    parts = Parts(sizes, device)
    batches = cycle([parts.batch(1, number) for number in range(8)])
    query = parts.backbone.extract(parts.batch(1, 99)).patches.flatten(0, 2)
    bare, _ = typical(parts.bare_forward(1), device, sizes.singles)
    search, _ = typical(lambda: parts.index.search(query, 1), device, sizes.singles)
    middle, late = typical(lambda: parts.score(next(batches)), device, sizes.singles)
    note = f"p95 {1e3 * late:.2f} ms; forward {1e3 * bare:.2f}, search {1e3 * search:.2f} ms"
    yield Line("one-image", 1e3 * middle, 1e3 * (bare + search), note=note, work=lambda: parts.score(next(batches)))
    eager, _ = typical(parts.bare_forward(1, graph=False), device, sizes.singles)
    yield Line("graph", 1e3 * bare, 1e3 * eager)


class Parts:
    """A backbone, a bank of what it saw in other images, and the bare parts to compare with."""

    def __init__(self, sizes: Sizes, device: str) -> None:
        self.sizes, self.device = sizes, device
        self.weaves = [texture(sizes.side + 256, weave) for weave in range(WEAVES)]
        ctx = Context(device=device)
        self.backbone = DinoV3(size=sizes.model, weights="random", precision=PRECISION, resolution=sizes.side)
        self.backbone.prepare(ctx)
        self.bank, self.scorer = Full(), Knn()
        self.bank.prepare(ctx)
        self.scorer.prepare(ctx)
        self.bank.fit(Seen(self._normal()), ctx)
        self.index = ExactIndex(self.bank.vectors)

    def batch(self, count: int, first: int) -> Batch:
        """Prepared images in memory, as a loader hands them over."""
        pictures = [torch.from_numpy(picture(self.weaves, self.sizes.side, first + i)) for i in range(count)]
        images = torch.stack(pictures).permute(0, 3, 1, 2).contiguous().float().div_(255)
        place = Geometry.whole(self.sizes.side, self.sizes.side)
        return Batch(tuple(f"{first + i:04}" for i in range(count)), images, (place,) * count)

    def score(self, batch: Batch) -> Tensor:
        """[B, H, W] on the CPU, from images to patch scores."""
        return self.scorer.score(self.backbone.extract(batch), self.bank).patches.cpu()

    def bare_forward(self, count: int, *, graph: bool = True) -> Work:
        """The same model in timm, on normalised images that lie on the device."""
        model = timm.create_model(self.backbone.model, num_classes=0).eval().requires_grad_(requires_grad=False)
        cache_rotary_tables(model)  # timm would make one on the CPU at each call, which no graph can hold
        model = model.to(self.device, getattr(torch, PRECISION))
        images = torch.randn(count, 3, self.sizes.side, self.sizes.side).to(self.device, getattr(torch, PRECISION))

        def forward() -> Tensor:
            with torch.no_grad():
                return model.forward_features(images)

        forward()
        return graphed(forward, self.device) if graph else forward

    def asked_again(self, query: Tensor) -> float:
        """The share of queries that are searched in float32: all on a CPU, the doubtful ones on a GPU."""
        again = 0
        by_floats = ExactIndex._by_floats  # noqa: SLF001 - counted, not changed

        def counted(index: ExactIndex, some: Tensor, *rest: object, **options: object):
            nonlocal again
            again += len(some)
            return by_floats(index, some, *rest, **options)

        with patch.object(ExactIndex, "_by_floats", counted):
            self.index.search(query, 1)
        return again / len(query)

    def _normal(self) -> list[Features]:
        """Features of as many images as fill the bank, cut to its size."""
        found: list[Features] = []
        held = 0
        while held < self.sizes.bank:
            output = self.backbone.extract(self.batch(self.sizes.batch, 1000 + self.sizes.batch * len(found)))
            found.append(output)
            held += output.patches[..., 0].numel()
        wait(self.device)
        rows = torch.cat([output.patches.flatten(0, 2) for output in found])[: self.sizes.bank]
        return [Features(("normal",), (Geometry.whole(1, 1),), patches=rows[None, None])]


class Seen(FeatureStream):
    """Features that are there already."""

    def __init__(self, found: Sequence[Features]) -> None:
        self._found = found

    @property
    def ids(self) -> Sequence[str]:
        return [name for features in self._found for name in features.ids]

    def __iter__(self) -> Iterator[Features]:
        return iter(self._found)
