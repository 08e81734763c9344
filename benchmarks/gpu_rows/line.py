"""What is measured, in what sizes, and when a line counts as reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Planned:
    """A line of the table, whether it was measured or not.

    Attributes:
        key: under which a row gives its measurement.
        what: in words, for the sizes of a whole run.
        limit: what none can beat, or what stands beside it.
        unit: of limit and ours.
        most: ours may be at most so much, in `unit`.
        ratio: ours may be at most so many times the limit.
        gain: a peer takes at least so many times ours.
        sized: whether `most` holds for the sizes of a whole run alone.
    """

    key: str
    what: str
    limit: str
    unit: str
    most: float | None = None
    ratio: float | None = None
    gain: float | None = None
    sized: bool = False

    @property
    def reach(self) -> str:
        """In words."""
        told = []
        if self.most is not None:
            told.append(f"<= {self.most:g} {self.unit}")
        if self.ratio is not None:
            told.append(f"<= {self.ratio:g}x the limit")
        if self.gain is not None:
            told.append(f"{self.gain:g}x faster than anomalib 2.7.0")
        return ", ".join(told) or "-"


PLAN = (
    Planned("copy", "copy on the card, bytes read and written", "-", "GB/s"),
    Planned("product", "product of bfloat16 matrices, 8,192 x 8,192 x 8,192", "-", "TFLOP/s"),
    Planned("upload", "a batch of images from pinned memory to the card", "-", "GB/s"),
    Planned("forward", "dinov3 small at 448, batches of 32 in memory: features", "bare forward", "ms an image"),
    Planned(
        "full-bank",
        "the same, and a full bank of 200,000 x 384: scores",
        "bare forward and exact search",
        "ms an image",
        ratio=1.25,
    ),
    Planned("one-image", "the same, one image at a time, p50", "bare forward and exact search", "ms", most=2.5),
    Planned("graph", "its forward as a CUDA graph, one image, p50", "the same forward launched kernel by kernel", "ms"),
    Planned(
        "k-center",
        "greedy k-center, 164,000 x 128, 16,400 steps",
        "reading all vectors once",
        "us a step",
        most=150,
    ),
    Planned(
        "plain", "the plain loop of k-center on the card, its first steps", "reading all vectors once", "us a step"
    ),
    Planned(
        "metrics",
        "exact pixel AUROC, AP, F1-max and AUPRO of 200 million pixels, all four",
        "sorting the pixels",
        "s",
        most=0.1,
        sized=True,
    ),
    Planned(
        "patchcore-fit",
        "patchcore, wide-resnet50 at 224, coreset of 10 %: fit on 200 images",
        "bare forward",
        "s",
        gain=10,
    ),
    Planned("patchcore-test", "the same: test of 80 images, files to scores", "bare forward", "ms an image", gain=5),
    Planned(
        "memory",
        "peak memory of the card with 1,600 test images",
        "with 200 test images",
        "MB",
        ratio=1.02,
    ),
    Planned("memory-process", "peak memory of the process with 1,600 test images", "with 200 test images", "MB"),
    Planned(
        "end-to-end",
        "5,354 PNGs of 1024 x 1024, dinov3 small at 448, coreset of 10 %, all metrics, end to end",
        "reading and preparing the files alone",
        "s",
        most=120,
        sized=True,
    ),
)
"""All lines of the table, in order. The end-to-end line's stretch is 60 s."""


@dataclass(frozen=True)
class Line:
    """One measurement.

    Attributes:
        key: of the planned line.
        ours: in its unit, smaller is better but for rates of the card.
        limit: in the same unit.
        peer: what anomalib takes, in the same unit.
        note: what else there is to say.
        work: does what was measured once more, shortly, to be profiled; never written anywhere.
    """

    key: str
    ours: float
    limit: float | None = None
    peer: float | None = None
    note: str = ""
    work: Callable[[], Any] | None = field(default=None, compare=False)

    @property
    def ratio(self) -> float | None:
        """How many times the limit; None without one."""
        return self.ours / self.limit if self.limit else None

    @property
    def planned(self) -> Planned:
        """What was to be measured."""
        return next(planned for planned in PLAN if planned.key == self.key)

    def reached(self, sizes: Sizes) -> bool | None:
        """Whether all that was wished for holds; None where nothing was, or nothing that these sizes can tell."""
        planned, told = self.planned, []
        if not sizes.judged:
            return None
        if planned.most is not None and (sizes.whole or not planned.sized):
            told.append(self.ours <= planned.most)
        if planned.ratio is not None and self.ratio is not None:
            told.append(self.ratio <= planned.ratio)
        if planned.gain is not None and self.peer is not None:
            told.append(self.peer / self.ours >= planned.gain)
        return all(told) if told else None

    def to_json(self, sizes: Sizes) -> dict[str, Any]:
        """Everything but the work."""
        planned = self.planned
        told = {name: getattr(self, name) for name in ("key", "ours", "limit", "peer", "ratio", "note")}
        return {**told, "unit": planned.unit, "reach": planned.reach, "reached": self.reached(sizes)}


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        whole: whether these are the sizes that the table speaks of.
        judged: whether a measurement means anything.
        model, side: of the DINOv3, and of its images in pixels.
        batch, batches, singles: images together, how many such batches, and images one at a time.
        bank: vectors of the full bank.
        points, channels, steps: of greedy k-center.
        pixels, map_side: of the metrics.
        files, categories, file_side: PNGs, in how many folders, and their side in pixels.
        patchcore: training and test images.
        patchcore_side, patchcore_seen: of their PNGs, and of what the network sees.
        peer_seconds: that anomalib has.
        few, many: test images of the two runs whose memory is compared.
        matrix: side of the product that tells what the card can do.
        copied: bytes that are copied on it.
    """

    whole: bool = True
    judged: bool = True
    model: str = "small"
    side: int = 448
    batch: int = 32
    batches: int = 20
    singles: int = 300
    bank: int = 200_000
    points: int = 164_000
    channels: int = 128
    steps: int = 16_400
    pixels: int = 200_000_000
    map_side: int = 1024
    files: int = 5354
    categories: int = 15
    file_side: int = 1024
    patchcore: tuple[int, int] = (200, 80)
    patchcore_side: int = 256
    patchcore_seen: int = 224
    peer_seconds: float = 60
    few: int = 200
    many: int = 1600
    matrix: int = 8192
    copied: int = 1 << 31

    def to_json(self) -> dict[str, Any]:
        """As numbers."""
        return asdict(self)


FULL = Sizes()
QUICK = Sizes(
    whole=False,
    batches=6,
    singles=100,
    steps=4000,
    pixels=100_000_000,
    files=356,
    categories=1,
    patchcore=(60, 24),
    peer_seconds=30,
    few=100,
    many=400,
)
TINY = Sizes(
    whole=False,
    judged=False,
    model="tiny",
    side=32,
    batch=2,
    batches=2,
    singles=3,
    bank=64,
    points=300,
    channels=8,
    steps=20,
    pixels=20_000,
    map_side=64,
    files=12,
    categories=1,
    file_side=48,
    patchcore=(3, 4),
    patchcore_side=64,
    patchcore_seen=64,
    few=6,
    many=12,
    matrix=64,
    copied=1 << 16,
)
