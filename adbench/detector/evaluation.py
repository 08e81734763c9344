"""Measures a detector on the test images of a dataset: the record is that of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from adbench.api.dataset import Dataset, Sample
from adbench.datasets import FileDataset, IgnoreMask, ignored_in
from adbench.detector.detector import Detector
from adbench.detector.fit.state import DetectorState, Figures, LearnedImage
from adbench.detector.recipes import detectable
from adbench.engine.features.feature_batch import FeatureCost
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.plan.protocol import Protocol, Task, make_task, task_of
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import Clock
from adbench.engine.process.global_state import undisturbed
from adbench.engine.process.location import place
from adbench.engine.run.backbone_pool import BackbonePool
from adbench.engine.run.fitting import FittedMethod, Fitter
from adbench.engine.run.method import Method
from adbench.engine.run.predicting import Predictor, UnitPredictions
from adbench.engine.run.prepared_unit import PreparedUnit, UnitPreparer
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.run.result import Result, ResultMaker
from adbench.engine.run.result_writer import ResultWriter
from adbench.engine.store.record import Cost, MetricInfo, ResultRecord
from adbench.errors import UsageError
from adbench.registration.registry import installed


def evaluate(
    detector: Detector,
    data: str | Path | Dataset,
    *,
    category: str,
    protocol: Protocol | None = None,
    out: str | Path | None = None,
) -> ResultRecord:
    """Measure a detector on the test images of a category, with the exact metrics of a run.

    Where the detector learned from the category's training images, in order, the record is that of ``adbench run``: it
    has the same id, metrics and threshold. Where it learned from others, the record has another id. The figures stay
    with the detector, and `Detector.save` keeps them.

    Args:
        detector: has learned.
        data: a dataset's name, or a folder in MVTec AD's layout.
        category: of the dataset.
        protocol: limits and the evaluation grid; None for the usual one.
        out: a folder of runs, into which the run is written as ``adbench run`` does; None to write nothing.

    Raises:
        UsageError: the detector has not learned yet.
        UnknownName: there is no such dataset or category.
        DataError: the dataset is not there, or an image cannot be read.
        UsageError: the data and the detector ignore other pixels.
        StorageError: the folder cannot be written.
    """
    state, registry = detector.fitted, installed()
    rules = (protocol or Protocol()).model_copy(update={"class_names": detector.class_name is not None})
    dataset = data if isinstance(data, Dataset) else dataset_from(registry, str(data))
    settings = replace(
        detector.settings,
        out=Path() if out is None else place(str(out)),
        threshold=state.calibration.rule,
        figures=out is not None,
    )
    components = detectable(state.recipe, registry, detector.class_name)
    builder = RecordBuilder(
        Unit(state.recipe, dataset, category, detector.seed, rules), components, registry, settings.out, settings.device
    )
    builder.task = _task(make_task(dataset, category, rules, detector.seed), state.about.images)
    _require_same_ignored(state.about.ignore, dataset, builder.task.test)
    survey = dataset.survey(category)
    builder.passed_over = None if survey is None else len(survey.passed_over)
    record = _Measuring(detector, state, builder, settings).record(write=out is not None)
    figures = Figures.of(record, builder.task)
    detector.state = replace(state, about=replace(state.about, figures=figures))
    return record


def _require_same_ignored(ignore: IgnoreMask | None, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """Refuse a dataset that ignores other pixels than the detector.

    Raises:
        UsageError: it does.
    """
    for sample in samples:
        mask = ignored_in(dataset.image_path(sample), ignore) if isinstance(dataset, FileDataset) else ignore
        own, found = None if mask is None else mask.pixels, dataset.ignored(sample)
        same = own is found or (own is not None and found is not None and np.array_equal(own, found))
        if not same:
            raise UsageError(
                f"{sample.id}: the data and the detector ignore other pixels; give the data the ignore mask that the"
                " detector was fitted with, or fit it with theirs"
            )


def _task(task: Task, images: Sequence[LearnedImage]) -> Task:
    """The task with the images that the detector learned from as its training images."""
    if [task.digests[sample.id] for sample in task.train] == [image.sha256 for image in images]:
        return task
    learned = {f"learned/{number:06}": image.sha256 for number, image in enumerate(images)}
    digests = {**learned, **{sample.id: task.digests[sample.id] for sample in task.test}}
    return task_of(tuple(map(Sample, learned)), task.test, digests, task.skipped)


class _Measuring:
    """One detector on the test images of one unit, through the steps of a run that follow the fit."""

    def __init__(self, detector: Detector, state: DetectorState, builder: RecordBuilder, settings: Settings) -> None:
        self._note, self._state, self._builder, self._settings = detector.note, state, builder, settings
        self._clock = Clock(settings.device)
        self._writer = ResultWriter(builder.registry, settings)

    def record(self, *, write: bool) -> ResultRecord:
        """The record; with it a run's folder is written, if asked for."""
        result, cost, metrics = self._measured()
        record = self._builder.done(cost, metrics)
        if not write:
            return record
        outcome = self._writer.save(self._builder, record, result)
        if outcome.unsaved is not None:
            raise outcome.unsaved
        return outcome.record

    def _measured(self) -> tuple[Result, Cost, dict[str, MetricInfo]]:
        builder, clock, pool = (
            self._builder,
            self._clock,
            BackbonePool(self._builder.registry, self._settings, self._note),
        )
        preparer = UnitPreparer(self._settings, pool, self._note)
        parts = Method.of(builder.components, builder.unit.recipe.map)
        with clock.measure("wall"), undisturbed(), preparer.prepared(builder, parts, clock, lambda _: False) as unit:
            predicted = self._predicted(unit)
            builder.runtime, builder.facts, builder.drew = predicted.runtime, predicted.facts, predicted.drew
            results, normal = ResultMaker(self._settings, clock.shared), self._state.calibration.normal
            result, metrics = results.measured(unit, predicted, normal, builder.registry.metrics())
        pool.close()
        return result, predicted.cost.model_copy(update=self._later_seconds()), metrics

    def _predicted(self, unit: PreparedUnit) -> UnitPredictions:
        """The scores of the test images by the detector's own method."""
        fitter = Fitter(_no_callback)
        fitter.last = self._fitted(unit)
        return Predictor(self._settings, fitter, _no_callback, _no_callback).predictions(unit)

    def _fitted(self, unit: PreparedUnit) -> FittedMethod:
        """The detector's method as one that was fitted for this unit."""
        cost = self._state.about.cost
        return FittedMethod(
            key=unit.fit_key,
            method=self._state.method,
            scratch=unit.scratch,
            drew=cost.drew,
            reading=FeatureCost(seconds=cost.extract_s, cached=cost.recalled, runtimes=set(cost.runtimes)),
            fit_s=cost.fit_s,
            peak_memory_mb=cost.peak_memory_mb,
            peak_gpu_mb=cost.peak_gpu_mb,
        )

    def _later_seconds(self) -> dict[str, float]:
        seconds = self._clock.seconds
        return {
            "evaluate_s": seconds["evaluate"],
            "threshold_s": self._state.about.cost.threshold_s,
            "wall_s": seconds["wall"],
        }


def _no_callback(*_: object) -> None:
    """Ignore the progress and the end of the work."""
