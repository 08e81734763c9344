"""A unit while it runs: what it brings with it, what was learned for it, what that cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adbench.api.context import Context
from adbench.engine.cache import FeatureCache
from adbench.engine.clock import MB, Clock, PeakMemory
from adbench.engine.draft import Draft
from adbench.engine.method import Method
from adbench.engine.record import Cost, Quantiles, canonical_json
from adbench.engine.sight import Sight
from adbench.engine.stream import ExtractedStream


@dataclass(frozen=True)
class Learned:
    """A method after fitting, and what that cost. Units that differ only in how they score share it."""

    key: str
    method: Method
    extract_s: float
    fit_s: float
    recalled: int
    runtimes: frozenset[str]
    peak_memory_mb: float
    peak_gpu_mb: float | None


@dataclass
class Work:
    """What running one unit brings with it.

    Attributes:
        cache: where features are kept, if they are.
        vectors: what the backbone sees of each test image as a whole, where a page will show it.
    """

    draft: Draft
    method: Method
    sight: Sight
    ctx: Context
    clock: Clock
    cache: FeatureCache | None
    vectors: list[np.ndarray] = field(default_factory=list)


def key_of(work: Work) -> str:
    """What decides what is learned: all of the recipe but how it scores, the images, the seed."""
    spec, unit = work.draft.spec, work.draft.unit
    learning: list[Any] = [spec.get(slot) for slot in ("augment", "neck", "masker", "bank")]
    told = [unit.seed, work.ctx.class_name, unit.recipe.features]
    return canonical_json([dict(work.sight.about), learning, told, work.draft.task.sha])


def cost_of(clock: Clock, memory: PeakMemory, learned: Learned, test: ExtractedStream) -> Cost:
    """What fitting and scoring cost, be what was learned shared with another unit or not."""
    seconds = {"test-extract": 0.0, **clock.seconds}
    gpu = [peak for peak in (memory.gpu_mb(), learned.peak_gpu_mb) if peak is not None]
    return Cost(
        extract_s=learned.extract_s,
        fit_s=learned.fit_s,
        test_s=seconds["score"] + seconds["test-extract"],
        test_extract_s=seconds["test-extract"],
        ms_per_image=Quantiles(p50=clock.quantile_ms(0.5), p95=clock.quantile_ms(0.95)),
        peak_memory_mb=max(memory.process_mb(), learned.peak_memory_mb),
        peak_gpu_mb=max(gpu, default=None),
        bank_mb=learned.method.bank_bytes() / MB,
        recalled=learned.recalled + test.recalled,
    )
