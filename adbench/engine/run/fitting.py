"""What was fitted: a method that has learned, and what that cost. The last one stays for the next unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from adbench.api.bank import Source
from adbench.engine.features.feature_batch import FeatureCost
from adbench.engine.features.streams import MeteredStream
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.clock import PeakMemory
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.process.scratch import Scratch
from adbench.engine.run.method import Method
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.record import ResultRecord

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FittedMethod:
    """A method after fitting, and what the fit cost. Units that differ only in their scoring share it.

    Attributes:
        key: decides what was learned.
        method: fitted.
        scratch: holds files that scoring may read; it stays for as long as this object.
        drew: whether another seed could have given another fit.
        reading: what the features cost.
        fit_s: seconds of the fit and of the tuning, with the features and the tuned weights as if they were new.
        peak_memory_mb, peak_gpu_mb: the highest memory; None without a GPU.
    """

    key: str
    method: Method
    scratch: Scratch
    drew: bool
    reading: FeatureCost
    fit_s: float
    peak_memory_mb: float
    peak_gpu_mb: float | None


@dataclass(frozen=True)
class UnitFit:
    """What the detector of a unit is made of: the method that scored its test images, and the normal scores.

    Attributes:
        unit: what was run.
        fitted: its method.
        normal: image scores of normal images by banks that had not seen them.
        peaks: [N] float32, the highest pixel of each of their anomaly maps; None for a method without maps.
        rule: how the threshold follows from the normal scores.
    """

    unit: PreparedUnit
    fitted: FittedMethod
    normal: NormalScores
    peaks: np.ndarray | None
    rule: Rule


SaveDetector = Callable[[UnitFit, ResultRecord, Path], None]
"""Writes the detector of a unit that ended well into a file. It raises an `AdbenchError` if the method is no detector.
The engine does not know the form of that file, so whoever starts a run provides the function."""


@dataclass
class Fitter:
    """Fits the methods of units one after another.

    Attributes:
        watch: called with the progress of the fit.
        last: the last fit; the next unit takes it over if it would learn the same.
    """

    watch: Watch
    last: FittedMethod | None = None

    def fitted(self, unit: PreparedUnit, memory: PeakMemory) -> FittedMethod:
        """The method of a unit, fitted now or before; it scores as this unit's recipe says."""
        if self.last is None or self.last.key != unit.fit_key:
            self.forget()  # the old bank goes before the new one comes
            self.last = self._fit(unit, memory)
        own = unit.method
        scoring = replace(self.last.method, scorer=own.scorer, aggregator=own.aggregator, map=own.map)
        return replace(self.last, method=scoring)

    def forget(self) -> None:
        """Let go of the last fit, and of the folder with its files."""
        if self.last is not None:
            self.last.scratch.close()
        self.last = None

    def keeps(self, scratch: Scratch) -> bool:
        """Whether the last fit needs this folder."""
        return self.last is not None and self.last.scratch is scratch

    def _fit(self, unit: PreparedUnit, memory: PeakMemory) -> FittedMethod:
        method, clock = unit.method, unit.clock
        progress = StageProgress(self.watch, "learn", _images_read(unit))
        reading = FeatureCost()
        with clock.measure("fit"), progress.running():
            method.fit(_streams(unit, progress, reading), unit.ctx)
        return FittedMethod(
            key=unit.fit_key,
            method=method,
            scratch=unit.scratch,
            drew=unit.seed_watch.drew,
            reading=replace(reading, runtimes=set(reading.runtimes)),  # a bank may walk on while it scores
            fit_s=clock.seconds["fit"] - reading.waited + reading.seconds + _tuning_s(method),
            peak_memory_mb=memory.process_mb(),
            peak_gpu_mb=memory.gpu_mb(),
        )


def _tuning_s(method: Method) -> float:
    """Seconds of the tuning, when it was done."""
    return 0.0 if method.tuned is None else method.tuned.seconds


def _images_read(unit: PreparedUnit) -> int:
    task = unit.task
    return unit.method.images_read(len(task.train), len(task.blind_test), len(task.exemplars))


def _streams(unit: PreparedUnit, progress: StageProgress, reading: FeatureCost) -> Mapping[Source, MeteredStream]:
    """The streams that necks and bank may learn from; what they cost is added to `reading`."""
    task = unit.task
    images = {
        Source.NOTHING: unit.images((), progress.advance),
        Source.TRAIN: unit.training_images(task.train, progress.advance),
        Source.TEST: unit.images(task.blind_test, progress.advance),
        Source.LABELLED: unit.labelled_images(task.train, progress.advance),
    }
    return {source: MeteredStream(stream, reading, unit.clock.now) for source, stream in images.items()}
