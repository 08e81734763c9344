"""A unit while it runs: what it brings with it, what was learned for it, what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adbench.api.context import Context
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.streams import ExtractedStream
from adbench.engine.process.clock import MB, Clock, PeakMemory
from adbench.engine.process.scratch import Scratch
from adbench.engine.run.backbone_pool import LoadedBackbone
from adbench.engine.run.method import Method
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.run.seed_watch import SeedWatch
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import Cost, Quantiles, canonical_json


@dataclass(frozen=True)
class Fitted:
    """A method after fitting, and what that cost. Units that differ only in how they score share it.

    Attributes:
        scratch: where it may keep files that scoring reads; it is there for as long as this is.
        drew: whether another seed could have given another one.
    """

    key: str
    method: Method
    scratch: Scratch
    drew: bool
    extract_s: float
    fit_s: float
    recalled: int
    runtimes: frozenset[str]
    peak_memory_mb: float
    peak_gpu_mb: float | None


@dataclass(frozen=True)
class Predicted:
    """What a method said of the test images, and what is told of it. Units that differ only in their maps share it, and
    those that differ only in their seeds, if nothing was drawn.

    Attributes:
        drew: whether another seed could have said something else.
        vectors: what the backbone saw of each test image as a whole, where a page will show it.
    """

    predictions: Predictions
    cost: Cost
    drew: bool
    runtime: str
    facts: Mapping[str, float]
    vectors: Sequence[np.ndarray]

    @property
    def nbytes(self) -> int:
        """What it takes, in memory and on disk."""
        said = self.predictions
        return said.scores.nbytes + sum(array.nbytes for array in (*(said.patches or ()), *self.vectors))


@dataclass
class Work:
    """What running one unit brings with it.

    Attributes:
        cache: where features are kept, if they are.
        chance: whether anything was drawn since the backbone was ready.
        scratch: files of the unit, in `work` those of its components.
    """

    draft: RecordBuilder
    method: Method
    sight: LoadedBackbone
    ctx: Context
    clock: Clock
    cache: FeatureCache | None
    chance: SeedWatch
    scratch: Scratch


def learning_of(work: Work) -> str:
    """What decides what is learned: all of the recipe but how it scores, the images, the seed."""
    return canonical_json([*_about(work, "augment", "neck", "masker", "bank"), work.draft.unit.seed])


def scoring_of(work: Work) -> str:
    """What decides what is said of the test images, the seed apart: all of the recipe but how maps are made of it."""
    return canonical_json(_about(work, "augment", "neck", "masker", "bank", "scorer", "aggregate"))


def _about(work: Work, *slots: str) -> list[Any]:
    spec, unit = work.draft.spec, work.draft.unit
    told = [work.ctx.class_name, unit.recipe.features]
    return [dict(work.sight.about), [spec.get(slot) for slot in slots], told, work.draft.task.sha]


def cost_of(clock: Clock, memory: PeakMemory, learned: Fitted, test: ExtractedStream) -> Cost:
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
