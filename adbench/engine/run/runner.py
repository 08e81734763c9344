"""The path of a unit, from its images to its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from adbench.api.search.shared_results import SharedResults
from adbench.engine.evaluate.details import read_details
from adbench.engine.features.contract import naming_component
from adbench.engine.images.drift_report import holds_drifts
from adbench.engine.plan.compat import require_compatible
from adbench.engine.plan.protocol import make_task
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.settings import Settings, choose_device
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import GRACE, Clock, PeakMemory, deadline
from adbench.engine.process.error_text import bounded
from adbench.engine.process.global_state import undisturbed
from adbench.engine.process.interrupts import is_stop, raise_if_stopped
from adbench.engine.process.lock import unit_lock
from adbench.engine.process.notes import Notes
from adbench.engine.process.progress import Watch
from adbench.engine.process.worker_status import WorkerStatus
from adbench.engine.run.backbone_pool import BackbonePool
from adbench.engine.run.crossfit import all_normal_scores, enough_for, normal_scores_of
from adbench.engine.run.drifting import DriftTest
from adbench.engine.run.fitting import Fitter, SaveDetector, UnitFit
from adbench.engine.run.method import Method
from adbench.engine.run.predicting import Predictor, turn_remarks
from adbench.engine.run.prepared_unit import PreparedUnit, UnitPreparer
from adbench.engine.run.record_builder import RecordBuilder, UnitOutcome
from adbench.engine.run.result import ResultMaker
from adbench.engine.run.result_writer import ResultWriter
from adbench.engine.run.robustness import CorruptionTest, can_be_tested
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.record import ResultRecord
from adbench.errors import StorageError, WeightsError
from adbench.registration.registry import Registry

SHARED_BYTES = 1 << 28
"""Bytes of results that units share, in each of the two caches."""
_NO_SCORES = NormalScores(np.zeros(0, np.float32), "none", "the run had no rule for a threshold (--threshold none)")


@dataclass
class Runner:
    """Runs units one after another. Work that two of them share is done once.

    The backbone stays loaded, features stay in the cache, and the last bank stays fitted for the next scorer.

    Attributes:
        watch: called with the progress of each stage.
        note: called with each sentence that a user should see.
        status: the unit that this process runs, for other processes.
        save_detector: writes the detector of a unit, where the settings ask for it.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """

    registry: Registry
    settings: Settings
    watch: Watch = lambda _stage, _done, _total: None
    note: Callable[[str], None] = lambda _: None
    status: WorkerStatus = field(default_factory=WorkerStatus)
    save_detector: SaveDetector | None = None

    def __post_init__(self) -> None:
        settings = self.settings = replace(self.settings, device=choose_device(self.settings.device))
        backbones = BackbonePool(self.registry, settings, self._bounded_note)
        self._shared, self._remarks = SharedResults(), Notes(self._note)
        self._preparer = UnitPreparer(settings, backbones, self._bounded_note, self._watch)
        self._fitter = Fitter(self._watch)
        self._predictor = Predictor(settings, self._fitter, self._watch, backbones.report_notes)
        self._results = ResultMaker(settings, self._shared)
        self._corruption = CorruptionTest(self._fitter, self._watch, self._remarks.once)
        self._drift = DriftTest(self._fitter, self.registry, self._watch, self._remarks.once)
        self._writer = ResultWriter(self.registry, settings, lambda: self.watch("write", 0, 0), self.save_detector)

    def _note(self, sentence: str) -> None:
        self.note(sentence)

    def _bounded_note(self, sentence: str) -> None:
        """Pass on a sentence of a component, at most some lines of it."""
        self.note(bounded(sentence))

    def _watch(self, stage: str, done: int, total: int) -> None:
        self.watch(stage, done, total)

    @contextmanager
    def together(self, units: int) -> Iterator[None]:
        """Inside the block, keep the results that so many units on the same images may share."""
        caches = self._shared, self._predictor.cache
        for cache in caches:
            cache.limit = SHARED_BYTES if units > 1 else 0
        try:
            with self._shared.used():
                yield
        finally:
            for cache in caches:
                cache.limit = 0
                cache.clear()

    def run(self, unit: Unit, *, wait: bool = True) -> UnitOutcome | None:
        """Run a unit, or find that it has ended. A failure of the unit is in the record and is not raised.

        Returns:
            How it ended; None if another process runs it and is not to be waited for.

        Raises:
            UsageError, WeightsError: the recipe cannot run at all: every other unit would fail in the same way.
        """
        components = components_of(unit.recipe, self.registry)
        require_compatible(unit.recipe.name, components, unit.protocol)
        builder = RecordBuilder(unit, components, self.registry, self.settings.out, self.settings.device)
        try:
            return self._run(builder, Method.of(components, unit.recipe.map), wait=wait)
        except WeightsError:
            raise
        except BaseException as error:
            if is_stop(error):
                raise_if_stopped()
                raise
            self._fitter.forget()  # a failure may have left the bank half done
            return self._writer.failed(builder, error)
        finally:
            self.status.between_units()

    def close(self) -> None:
        """Release everything that is kept for the next unit."""
        self._fitter.forget()
        self._preparer.backbones.close()

    def _run(self, builder: RecordBuilder, method: Method, *, wait: bool) -> UnitOutcome | None:
        """Run the unit, unless it has ended or another process runs it."""
        self.status.at_unit()
        self._find_images(builder)
        self.status.waiting()
        with unit_lock(self.settings.out, builder.id, wait=wait) as locked:
            if not locked:
                return None
            self.status.at_unit()
            record = builder.record()
            if record is not None and not self._reruns(builder, record, method):
                return UnitOutcome.ended_before(record, builder.folder, save=self.settings.save)
            return self._run_locked(builder, method)

    def _reruns(self, builder: RecordBuilder, record: ResultRecord, method: Method) -> bool:
        """Whether a finished unit runs again: for another result, or for reports that its details lack."""
        asked = record.status == "ok" and can_be_tested(method)
        return self.settings.reruns(record.status) or (asked and not _has_reports(builder))

    def _find_images(self, builder: RecordBuilder) -> None:
        """Choose the images of the unit; none is read."""
        unit = builder.unit
        with undisturbed(), naming_component(unit.dataset, "split"):
            skip_bad = self.settings.skip_bad
            builder.task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=skip_bad)
        with undisturbed(), naming_component(unit.dataset, "survey"):
            survey = unit.dataset.survey(unit.category)
            builder.passed_over = None if survey is None else len(survey.passed_over)

    def _run_locked(self, builder: RecordBuilder, method: Method) -> UnitOutcome:
        """Run the unit from its images to its record. Nothing may interrupt the writing of the record."""
        self._remark(builder.unit)
        clock, charged = Clock(self.settings.device, self._shared), self._shared.charged
        with clock.measure("wall"), undisturbed(), self._limit(), self._prepared(builder, method, clock) as unit:
            predicted = self._predictor.predictions(unit)
            builder.runtime, builder.facts, builder.drew = predicted.runtime, predicted.facts, predicted.drew
            normal, fit = self._normal_scores(unit)
            known = self.registry.metrics()
            result, metrics = self._results.measured(unit, predicted, normal, known)
            result = self._drift.tested(unit, self._corruption.tested(unit, result, known))
            self._remark(builder.unit)
            self._remarks.each_once([*result.evaluator.remarks(), *turn_remarks(predicted.facts, len(unit.task.test))])
        shared_s = self._shared.charged - charged
        cost = predicted.cost.model_copy(update=_later_seconds(clock, shared_s))
        return self._writer.save(builder, builder.done(cost, metrics), result, fit=fit)

    def _normal_scores(self, unit: PreparedUnit) -> tuple[NormalScores | None, UnitFit | None]:
        """The normal scores that the threshold's rule asks for, and the parts of the detector, if it is to be kept."""
        rule = self.settings.threshold
        if not self.settings.save:
            return normal_scores_of(unit, rule, self.registry, self._watch), None
        every, peaks = (_NO_SCORES, None) if rule is None else all_normal_scores(unit, self.registry, self._watch)
        # Units may share predictions without a fit of their own, so this may be the first one
        fitted = self._fitter.fitted(unit, PeakMemory(self.settings.device))
        normal = None if rule is None else enough_for(unit, rule, every)
        return normal, UnitFit(unit, fitted, every, peaks, rule or Rule())

    @contextmanager
    def _limit(self) -> Iterator[None]:
        """Stop the unit when its time is up. A worker that cannot be stopped otherwise ends its process."""
        seconds = self.settings.timeout
        with self.status.stack_file() as file:
            self.status.at_unit(seconds and seconds + GRACE)
            with deadline(seconds, file):
                yield
        self.status.at_unit()

    def _prepared(self, builder: RecordBuilder, method: Method, clock: Clock) -> AbstractContextManager[PreparedUnit]:
        return self._preparer.prepared(builder, method, clock, self._fitter.keeps)

    def _remark(self, unit: Unit) -> None:
        """Report once how the images and masks were read so far."""
        with naming_component(unit.dataset, "remarks"):
            sentences = list(unit.dataset.remarks(unit.category))
        self._remarks.each_once(sentences)


def _has_reports(builder: RecordBuilder) -> bool:
    """Whether the details of an earlier run have the corruptions and drifts that the unit asks for."""
    unit = builder.unit
    if not (unit.corruptions or unit.drifts):
        return True
    try:
        details = read_details(builder.folder)
    except StorageError:
        return False
    corrupted = details.corruptions is not None and details.corruptions.holds(unit.corruptions)
    drifted = holds_drifts(details.drifts or (), unit.drifts)
    return details.id == builder.id and (corrupted or not unit.corruptions) and drifted


def _later_seconds(clock: Clock, shared_s: float) -> dict[str, float]:
    """The other costs of a unit. `wall_s` leaves out work that earlier units did for this one."""
    return {
        "threshold_s": clock.seconds.get("threshold", 0.0),
        "evaluate_s": clock.seconds["evaluate"],
        "wall_s": clock.seconds["wall"] - shared_s,
    }
