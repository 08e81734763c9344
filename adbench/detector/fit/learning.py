"""From a recipe and normal images to a detector's state, through the steps of a run."""

from __future__ import annotations

from collections.abc import Callable

from adbench.detector.fit.appearance import Learned
from adbench.detector.fit.calibration import Calibration
from adbench.detector.fit.images import CATEGORY, GivenDataset
from adbench.detector.fit.places import learned_images
from adbench.detector.fit.state import DetectorState, FitCost, about_of
from adbench.detector.recipes import detectable
from adbench.engine.plan.protocol import Protocol, task_of
from adbench.engine.plan.recipe import Recipe
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import Clock, PeakMemory
from adbench.engine.process.global_state import undisturbed
from adbench.engine.process.progress import Watch
from adbench.engine.run.backbone_pool import BackbonePool
from adbench.engine.run.crossfit import all_normal_scores
from adbench.engine.run.fitting import FittedMethod, Fitter
from adbench.engine.run.method import Method
from adbench.engine.run.prepared_unit import PreparedUnit, UnitPreparer
from adbench.engine.run.record_builder import RecordBuilder
from adbench.errors import DataError
from adbench.registration.registry import Registry


def learn(
    recipe: Recipe,
    dataset: GivenDataset,
    settings: Settings,
    registry: Registry,
    *,
    seed: int = 0,
    class_name: str | None = None,
    note: Callable[[str], None] = lambda _: None,
    watch: Watch = lambda _stage, _done, _total: None,
) -> DetectorState:
    """Fit a method on normal images, and score each of them by a bank that had not seen it.

    Args:
        recipe: complete.
        dataset: normal images, in the order in which they are learned from.
        settings: how it is computed, and by which rule thresholds follow.
        registry: what is installed.
        seed: decides everything random.
        class_name: the object's name, for methods that read it.
        note: called with each sentence that a user should see.
        watch: called with the progress of each stage.

    Raises:
        UsageError: the method cannot be a detector, or its parts do not work together.
        DataError: there is no image to learn from, or one cannot be read.
        WeightsError: weights cannot be had.
    """
    components = detectable(recipe, registry, class_name)
    method = Method.of(components, recipe.map)
    if not dataset.samples and method.learns_from_normal:
        raise DataError("there is no normal image to learn from; give a folder or a list of some")
    protocol = Protocol(class_names=class_name is not None)
    unit = Unit(recipe, dataset, class_name or CATEGORY, seed, protocol)
    builder = RecordBuilder(unit, components, registry, settings.out, settings.device)
    builder.task = task_of(dataset.samples, (), {one.id: dataset.digest(one) for one in dataset.samples})
    pool, fitter = BackbonePool(registry, settings, note), Fitter(watch)
    with undisturbed():
        clock, preparer = Clock(settings.device), UnitPreparer(settings, pool, note, watch)
        with preparer.prepared(builder, method, clock, fitter.keeps) as ready:
            fitted = fitter.fitted(ready, PeakMemory(settings.device))
            calibration = Calibration(*all_normal_scores(ready, registry, watch), settings.threshold or Rule())
    pool.report_notes(fitted.method.backbone)
    return _state(ready, fitted, calibration, dataset, (pool, fitted.scratch))


def _state(
    unit: PreparedUnit, fitted: FittedMethod, calibration: Calibration, dataset: GivenDataset, folders: object
) -> DetectorState:
    """The state of a detector whose method was fitted just now."""
    task, builder = unit.task, unit.builder
    builder.runtime = "+".join(sorted(fitted.reading.runtimes)) or fitted.method.backbone.runtime
    images, files = learned_images(dataset, task.train, task.digests, task.aliases)
    cost = FitCost.of(fitted, unit.clock.seconds.get("threshold", 0.0))
    learned = Learned.of(dataset.all_appearances())
    about = about_of(builder, unit.ctx, images, learned, dataset.white, cost, ignore=dataset.ignore)
    return DetectorState(unit.unit.recipe, fitted.method, calibration, about, folders, files)
