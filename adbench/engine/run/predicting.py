"""What was predicted: the scores of a unit's test images, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from adbench.api.backbone import Backbone
from adbench.api.bounded_cache import BoundedCache
from adbench.engine.images.twins import repeated
from adbench.engine.pictures.embedding import MOST
from adbench.engine.plan.protocol import Task
from adbench.engine.plan.settings import Settings
from adbench.engine.process.clock import MB, Clock, PeakMemory
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.run.fitting import FittedMethod, Fitter
from adbench.engine.run.method import Method
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.run.scoring import ScoredStream, score_stream
from adbench.engine.store.lazy_sequence import LazySequence
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import Cost, Quantiles

TURNED = "turned_test"
"""Name in records of the number of test images that a preprocessor turned."""


@dataclass(frozen=True)
class UnitPredictions:
    """The predictions of a unit. Units that differ only in their maps share them; so do units that differ only in their
    seeds, if nothing was drawn.

    Attributes:
        predictions: under the ids of the dataset.
        cost: of fitting and scoring.
        drew: whether another seed could have given other predictions.
        runtime: what computed the features.
        facts: figures of the bank and of the images.
        vectors: a vector of each test image, where a page will show it as a point.
        losses: of each step of a trained bank; empty for others.
    """

    predictions: Predictions
    cost: Cost
    drew: bool
    runtime: str
    facts: Mapping[str, float]
    vectors: Sequence[np.ndarray]
    losses: Sequence[float] = ()

    @property
    def nbytes(self) -> int:
        """Their size in memory and on disk."""
        found = self.predictions
        return found.scores.nbytes + sum(array.nbytes for array in (*(found.patches or ()), *self.vectors))


@dataclass
class Predictor:
    """Fits the methods of units, and scores their test images.

    Attributes:
        settings: how units run.
        fitter: fits.
        watch: called with the progress of the scoring.
        scored: called with the backbone after the test images.
        cache: predictions that other units of the same run may take over. Components never see it: it knows labels.
    """

    settings: Settings
    fitter: Fitter
    watch: Watch
    scored: Callable[[Backbone], object]
    cache: BoundedCache = field(default_factory=lambda: BoundedCache(0))

    def predictions(self, unit: PreparedUnit) -> UnitPredictions:
        """The predictions of a unit, or those of another unit that must be the same."""
        key, seed = unit.score_key, unit.unit.seed
        found: UnitPredictions | None = self.cache.get((key, seed)) or self.cache.get((key, "any seed"))
        if found is None:
            found = self._predict(unit)
            if self.cache.limit:  # to know its size, all of it is read
                self.cache.put((key, seed if found.drew else "any seed"), found, found.nbytes)
        return found

    def _predict(self, unit: PreparedUnit) -> UnitPredictions:
        memory = PeakMemory(self.settings.device)
        fitted = self.fitter.fitted(unit, memory)
        scored = self._score(unit, fitted.method)
        self.scored(unit.backbone.backbone)
        task, places = unit.task, _places(unit.task)
        return UnitPredictions(
            _in_order(task, scored.predictions),
            _cost(unit.clock, memory, fitted, scored),
            drew=fitted.drew or unit.seed_watch.drew,
            runtime="+".join(sorted(fitted.reading.runtimes | scored.reading.runtimes)),
            facts={**fitted.method.facts(), **_counts(fitted.method, task, scored.predictions)},
            vectors=[scored.vectors[place] for place in places] if scored.vectors else [],
            losses=fitted.method.losses(),
        )

    def _score(self, unit: PreparedUnit, method: Method) -> ScoredStream:
        test = unit.task.blind_test
        progress = StageProgress(self.watch, "score", len(test))
        wants_vectors = self.settings.figures and len(test) <= MOST
        with progress.running():
            return score_stream(method, unit.images(test, progress.advance), unit.clock, vectors=wants_vectors)


def _cost(clock: Clock, memory: PeakMemory, fitted: FittedMethod, scored: ScoredStream) -> Cost:
    """What fitting and scoring cost, whether or not another unit shares the fit."""
    gpu = [peak for peak in (memory.gpu_mb(), fitted.peak_gpu_mb) if peak is not None]
    return Cost(
        extract_s=fitted.reading.seconds,
        fit_s=fitted.fit_s,
        test_s=clock.seconds["score"] + scored.reading.seconds,
        test_extract_s=scored.reading.seconds,
        ms_per_image=Quantiles(p50=clock.quantile_ms(0.5), p95=clock.quantile_ms(0.95)),
        peak_memory_mb=max(memory.process_mb(), fitted.peak_memory_mb),
        peak_gpu_mb=max(gpu, default=None),
        bank_mb=fitted.method.bank_bytes() / MB,
        recalled=fitted.reading.cached + scored.reading.cached,
    )


def _counts(method: Method, task: Task, predictions: Predictions) -> dict[str, float]:
    """What a record counts of the images."""
    return {**_masking(method, task), **_odd_images(task), **_turned(method, predictions)}


def _turned(method: Method, predictions: Predictions) -> dict[str, float]:
    """How many test images a preprocessor turned by what they show; empty where none does that."""
    if not any(step.turns for step in method.preprocess):
        return {}
    return {TURNED: float(sum(place.warp is not None for place in predictions.geometry))}


def turn_remarks(facts: Mapping[str, float], test: int) -> Iterator[str]:
    """A sentence on how many test images were turned; none where no preprocessor does that.

    Args:
        facts: of a record.
        test: the number of test images.
    """
    if TURNED in facts:
        yield f"{int(facts[TURNED])} of {test} test images were turned; the others show no object with a clear pose"


def _masking(method: Method, task: Task) -> dict[str, float]:
    """How many images count whole, as the masker found nothing in them; empty without a masker."""
    if method.masker is None:
        return {}
    counted = {"train": task.train, "test": task.test} if method.masks_bank else {"test": task.test}
    return {
        f"seen_whole_{name}": float(sum(task.aliases[sample.id] in method.without_foreground for sample in samples))
        for name, samples in counted.items()
    }


def _odd_images(task: Task) -> dict[str, float]:
    """How many training images have the content of another one, and how many show a defect; without zeros."""
    defective = sum(sample.anomalous for sample in task.train)
    counts = {"repeated_train": repeated(task.train, task.digests), "defective_train": defective}
    return {name: float(count) for name, count in counts.items() if count}


def _in_order(task: Task, blind: Predictions) -> Predictions:
    """Predictions under the ids of the test images, and in the order of the task."""
    patches, foreground, places = blind.patches, blind.foreground, _places(task)
    return replace(
        blind,
        ids=tuple(sample.id for sample in task.test),
        geometry=tuple(blind.geometry[place] for place in places),
        scores=blind.scores[places],
        patches=None if patches is None else LazySequence(places, patches.__getitem__),
        foreground=None if foreground is None else LazySequence(places, foreground.__getitem__),
        classes=None if blind.classes is None else blind.classes[places],
    )


def _places(task: Task) -> list[int]:
    """The place of each test image in the order that components see."""
    places = {sample.id: place for place, sample in enumerate(task.blind_test)}
    return [places[sample.id] for sample in task.test]
