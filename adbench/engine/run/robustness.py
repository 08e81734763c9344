"""Scores of corrupted test images by a method that has learned from clean ones, and the report of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from adbench.api.bank import Source
from adbench.api.bounded_cache import BoundedCache
from adbench.api.metric import Metric
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.features.image_loader import SourceImage, source_image
from adbench.engine.features.streams import ImageStream
from adbench.engine.images.corrupted_dataset import CorruptedDataset
from adbench.engine.images.corrupting import corrupted
from adbench.engine.images.corruption import VERSION, Corruption
from adbench.engine.images.corruption_report import SIDE, CorruptedFigures, CorruptionReport, SetFigures
from adbench.engine.plan.aliases import LENGTH
from adbench.engine.process.clock import PeakMemory
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.run.fitting import Fitter
from adbench.engine.run.method import Method
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.run.result import Result
from adbench.engine.run.scoring import score_into
from adbench.engine.store.lazy_sequence import LazySequence
from adbench.engine.store.predictions import Predictions

READ_BYTES = 1 << 26
"""Bytes of images that are kept after reading, since each is read for every corruption."""
LEARNS_FROM_TEST = "no corruption: the method learns from the test images, so corrupted ones would need another fit"


def can_be_tested(method: Method) -> bool:
    """Whether changed test images can be scored without another fit."""
    return method.bank.learns_from is not Source.TEST


def method_to_test(unit: PreparedUnit, fitter: Fitter, note: Callable[[str], None]) -> Method | None:
    """The method that scored a unit's clean test images; None, with a note, where changed ones need another fit."""
    if not can_be_tested(unit.method):
        note(LEARNS_FROM_TEST)
        return None
    return fitter.fitted(unit, PeakMemory(unit.ctx.device)).method


@dataclass(frozen=True)
class CorruptionTest:
    """Scores the corrupted test images of units. Nothing is fitted again; features are cached where there is room.

    Attributes:
        fitter: has the method that scored the clean test images.
        watch: told how far the scoring is.
        note: told why a unit has no report.
    """

    fitter: Fitter
    watch: Watch
    note: Callable[[str], None]

    def tested(self, unit: PreparedUnit, result: Result, metrics: Sequence[Metric]) -> Result:
        """The result of a unit with the report of its corrupted test images, if the unit asks for one.

        Args:
            unit: what was run.
            result: of the clean test images; its metrics and its threshold are compared with.
            metrics: which are measured.
        """
        method = method_to_test(unit, self.fitter, self.note) if unit.unit.corruptions else None
        if method is None:
            return result
        return replace(result, corruptions=self.report(unit.aside("corruptions"), method, result, metrics))

    def report(self, unit: PreparedUnit, method: Method, result: Result, metrics: Sequence[Metric]) -> CorruptionReport:
        """The report of corrupted test images, by a method as it scored the clean ones."""
        chosen = unit.unit.corruptions
        threshold = None if result.threshold is None else result.threshold.value
        grid = unit.unit.protocol.grid or (SIDE, SIDE)
        evaluator = replace(result.evaluator, grid=grid, annotations={})
        clean = _figures(evaluator, metrics, threshold)
        known = [metric for metric in metrics if metric.name in clean.metrics]
        found = []
        for corruption, predictions in zip(chosen, self._predictions(unit, method), strict=True):
            figures = _figures(_corrupted(evaluator, corruption, predictions), known, threshold).model_dump()
            found.append(CorruptedFigures(corruption=corruption.name, strength=corruption.strength, **figures))
        return CorruptionReport(
            version=VERSION,
            grid=grid,
            threshold=threshold,
            normals=sum(not sample.anomalous for sample in unit.task.test),
            clean=clean,
            corrupted=found,
        )

    def _predictions(self, unit: PreparedUnit, method: Method) -> Iterator[Predictions]:
        """The predictions of the test images under each corruption, in the order of the task."""
        task, chosen = unit.task, unit.unit.corruptions
        progress = StageProgress(self.watch, "corrupt", len(task.test) * len(chosen))
        with progress.running():
            reader = unit.reader_in(unit.cache, passing=True)
            stream = ImageStream(reader, corrupted_images(unit), progress=progress.advance)
            spool = score_into(method, stream, unit.clock)
        first = {sample.id: place * len(chosen) for place, sample in enumerate(task.blind_test)}
        whole = spool.predictions(np.zeros(len(spool), np.float32))
        for offset in range(len(chosen)):
            places = [first[sample.id] + offset for sample in task.test]
            scores = method.aggregate([spool[place] for place in places])
            yield _chosen(whole, places, [sample.id for sample in task.test], scores)


def corrupted_images(unit: PreparedUnit) -> list[SourceImage]:
    """Every corruption of the first image, then of the second: each file is read once."""
    cache, task = BoundedCache(READ_BYTES), unit.task
    return [
        source_image(
            unit.unit.dataset,
            sample,
            hashlib.sha256(f"{task.aliases[sample.id]}/{corruption}".encode()).hexdigest()[:LENGTH],
            corruption.digest(task.digests[sample.id]),
            partial(corrupted, corruption=corruption, content=task.digests[sample.id]),
            cache,
        )
        for sample in task.blind_test
        for corruption in unit.unit.corruptions
    ]


def _chosen(whole: Predictions, places: Sequence[int], ids: Sequence[str], scores: Tensor) -> Predictions:
    """The predictions at some places, under the ids of the dataset."""
    return Predictions(
        ids=tuple(ids),
        geometry=tuple(whole.geometry[place] for place in places),
        scores=scores.detach().float().cpu().numpy(),
        patches=None if whole.patches is None else LazySequence(places, whole.patches.__getitem__),
    )


def _corrupted(clean: Evaluator, corruption: Corruption, predictions: Predictions) -> Evaluator:
    """The evaluator of corrupted images: masks that stay where they are, are those of the clean ones."""
    dataset = CorruptedDataset(clean.dataset, corruption) if corruption.moves else clean.dataset
    return replace(clean, dataset=dataset, predictions=predictions, annotations={})


def _figures(evaluator: Evaluator, metrics: Sequence[Metric], threshold: float | None) -> SetFigures:
    evidence = evaluator.evidence()
    found = {
        name: None if info.value is None else round(info.value, 6) for name, info in measure(metrics, evidence).items()
    }
    alarms = None if threshold is None else int((evidence.scores[~evidence.labels] > threshold).sum())
    return SetFigures(metrics=found, false_alarms=alarms)
