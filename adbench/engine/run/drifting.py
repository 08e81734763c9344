"""Scores of a stream that changes slowly, by the frozen method and by banks that learn from what raises no alarm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from adbench.api.bank import Bank
from adbench.api.curves.curve import curve_of_scores
from adbench.api.features import ImageScores
from adbench.engine.features.contract import naming_component
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import SourceImage, source_image
from adbench.engine.features.sealed_stream import Seal, SealedStream
from adbench.engine.features.streams import ImageStream
from adbench.engine.features.views import views_of
from adbench.engine.images.corruption import VERSION, Corruption
from adbench.engine.images.drift_report import DriftReport, DriftWindow, WindowFigures
from adbench.engine.images.drifting import DRIFT_VERSION, HALVES, WINDOWS, Arrival, DriftStream
from adbench.engine.plan.aliases import LENGTH
from adbench.engine.plan.recipe import components_of
from adbench.engine.process.progress import StageProgress, Watch
from adbench.engine.process.scratch import delete
from adbench.engine.run.fitting import Fitter
from adbench.engine.run.method import Method
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.run.result import Result
from adbench.engine.run.robustness import method_to_test
from adbench.engine.run.scoring import score_into
from adbench.errors import UsageError
from adbench.registration.registry import Registry

NO_THRESHOLD = "without a threshold nobody can say which images raise no alarm"
LEARNING_NECK = "a neck learns from all images at once"


@dataclass(frozen=True)
class DriftTest:
    """Scores the test images of units once more, as streams that change slowly.

    Attributes:
        fitter: has the method that scored the clean test images; it stays as it is.
        registry: makes the banks that learn.
        watch: told how far the scoring is.
        note: told why a unit has no report, or no updates.
    """

    fitter: Fitter
    registry: Registry
    watch: Watch
    note: Callable[[str], None]

    def tested(self, unit: PreparedUnit, result: Result) -> Result:
        """The result of a unit with the reports of its streams, if the unit asks for some.

        Args:
            unit: what was run.
            result: of the clean test images, with the threshold.
        """
        method = method_to_test(unit, self.fitter, self.note) if unit.unit.drifts else None
        if method is None:
            return result
        return replace(result, drifts=[self._report(unit, method, result, drift) for drift in unit.unit.drifts])

    def _report(self, unit: PreparedUnit, method: Method, result: Result, drift: Corruption) -> DriftReport:
        task, aside = unit.task, unit.aside("drift")
        stream = DriftStream(task.test, task.digests, drift, unit.unit.seed)
        threshold = None if result.threshold is None else result.threshold.value
        learning = _Learning(why=_why_frozen(method, threshold))
        if not learning.why:
            learning.methods = [replace(method, bank=_twin(aside, method, self.registry)) for _ in HALVES]
        progress = StageProgress(self.watch, "drift", WINDOWS * len(task.test))
        with progress.running():
            walk = _Walk(aside, method, stream, threshold, learning, progress)
            windows = [walk.window(arrivals) for arrivals in stream.windows()]
        if learning.why:
            self.note(f"no updates along the stream: {learning.why}")
            windows = [DriftWindow(begin=one.begin, end=one.end, frozen=one.frozen) for one in windows]
        labels = result.evidence.labels
        return DriftReport(
            version=DRIFT_VERSION,
            corruptions=VERSION,
            corruption=drift.name,
            strength=drift.strength,
            threshold=threshold,
            normals=int((~labels).sum()),
            defective=int(labels.sum()),
            clean=_figures(labels, result.evidence.scores, threshold),
            windows=windows,
            frozen_why=learning.why[:500],
        )


@dataclass
class _Learning:
    """Two methods that go on learning, one from each half of the images; each judges the other half.

    Attributes:
        methods: that of half 0 judges half 0 and learns from half 1.
        learned: whether they have learned anything yet.
        why: why they do not learn; empty if they do.
    """

    methods: list[Method] = field(default_factory=list)
    learned: bool = False
    why: str = ""


@dataclass(frozen=True)
class _Walk:
    """A walk along one stream.

    Attributes:
        unit: what is run, with a clock and a folder aside.
        method: as it was fitted.
        stream: the images.
        threshold: set on clean images; None where there is none.
        learning: what goes on learning.
        progress: of the images.
    """

    unit: PreparedUnit
    method: Method
    stream: DriftStream
    threshold: float | None
    learning: _Learning
    progress: StageProgress

    def window(self, arrivals: Sequence[Arrival]) -> DriftWindow:
        """The figures of the next window; afterwards, what raised no alarm is learned from."""
        labels = np.array([arrival.sample.anomalous for arrival in arrivals])
        with _reader(self.unit) as reader:
            images = [self._image(arrival) for arrival in arrivals]
            entries = self._scored(reader, self.method, images, self.progress.advance)
            frozen = updated = self._aggregated(entries)
            if self.learning.learned and not self.learning.why:
                updated = self._aggregated(self._scored_by_halves(reader, arrivals, images))
            added = self._learn(reader, arrivals, images, updated)
        return DriftWindow(
            begin=arrivals[0].level,
            end=arrivals[-1].level,
            frozen=_figures(labels, frozen, self.threshold),
            updated=_figures(labels, updated, self.threshold),
            added=int(added.sum()),
            added_defective=int((added & labels).sum()),
        )

    def _scored_by_halves(
        self, reader: FeatureReader, arrivals: Sequence[Arrival], images: Sequence[SourceImage]
    ) -> list[ImageScores]:
        """The scores of each image by the method that has not learned from its half, in order."""
        found: dict[str, ImageScores] = {}
        for half in HALVES:
            judged = [image for image, own in zip(images, self._halves(arrivals), strict=True) if own == half]
            found |= {one.id: one for one in self._scored(reader, self.learning.methods[half], judged)}
        return [found[image.alias] for image in images]

    def _learn(
        self, reader: FeatureReader, arrivals: Sequence[Arrival], images: Sequence[SourceImage], scores: np.ndarray
    ) -> np.ndarray:
        """Let each method learn from the images of the other half that raise no alarm; returns [N] bool, which."""
        if self.learning.why or self.threshold is None:
            return np.zeros(len(images), bool)
        calm = scores <= self.threshold
        try:
            own = self._halves(arrivals)
            for half in HALVES:
                new = [image for image, mine, fine in zip(images, own, calm, strict=True) if fine and mine != half]
                if new:
                    self._add(reader, self.learning.methods[half], new)
        except UsageError as error:
            self.learning.why = str(error)
        self.learning.learned |= bool(calm.any())
        return calm

    def _add(self, reader: FeatureReader, method: Method, images: Sequence[SourceImage]) -> None:
        stream, seal = ImageStream(reader, images, views_of(method.augmenter)), Seal()
        with seal.reopened(), naming_component(method.bank, "add"):
            method.bank.add(SealedStream(stream, method.bank_features, seal), self.unit.ctx)

    def _halves(self, arrivals: Sequence[Arrival]) -> list[int]:
        return [self.stream.halves[arrival.sample.id] for arrival in arrivals]

    def _scored(
        self,
        reader: FeatureReader,
        method: Method,
        images: Sequence[SourceImage],
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[ImageScores]:
        return list(score_into(method, ImageStream(reader, images, progress=progress), self.unit.clock))

    def _aggregated(self, entries: Sequence[ImageScores]) -> np.ndarray:
        scores: np.ndarray = self.method.aggregate(entries).detach().float().cpu().numpy()
        return scores

    def _image(self, arrival: Arrival) -> SourceImage:
        digest, change = self.stream.digest(arrival), partial(self.stream.changed, arrival=arrival)
        return source_image(self.unit.unit.dataset, arrival.sample, digest[:LENGTH], digest, change)


@contextmanager
def _reader(unit: PreparedUnit) -> Iterator[FeatureReader]:
    """A reader that keeps features on disk while the block lasts: up to three methods read them."""
    cache = FeatureCache(unit.scratch.folder("drift-features"))
    try:
        yield unit.reader_in(cache)
    finally:
        delete(cache.root)


def _why_frozen(method: Method, threshold: float | None) -> str:
    """Why a method cannot go on learning; empty if it can, as far as that is known before."""
    if type(method.bank).add is Bank.add:
        return f"{method.bank.title} learns from all images at once"
    if any(neck.learns for neck in method.necks):
        return LEARNING_NECK
    return NO_THRESHOLD if threshold is None else ""


def _twin(unit: PreparedUnit, method: Method, registry: Registry) -> Bank:
    """A bank that knows what the method's bank has learned, and can learn more without changing it."""
    bank = components_of(unit.unit.recipe, registry)["bank"][0]
    assert isinstance(bank, Bank)
    with naming_component(bank, "restore"):
        bank.prepare(unit.ctx)
        bank.restore(method.bank.state())
    return bank


def _figures(labels: np.ndarray, scores: np.ndarray, threshold: float | None) -> WindowFigures:
    auroc = curve_of_scores(labels, scores).auroc
    alarms = None if threshold is None else scores > threshold
    return WindowFigures(
        auroc=None if auroc is None else round(auroc, 6),
        false_alarms=None if alarms is None else int((alarms & ~labels).sum()),
        found=None if alarms is None else int((alarms & labels).sum()),
    )
