"""One unit of work from images to a record: extract, fit, score, evaluate, write."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch

from adbench.api.backbone import Backbone
from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.features import FeatureStream, ImageScores
from adbench.api.geometry import Geometry
from adbench.api.metric import Evidence, Metric
from adbench.engine.clock import MB, Clock, PeakMemory, deadline
from adbench.engine.compat import require_compatible
from adbench.engine.contract import blame, is_out_of_memory
from adbench.engine.draft import Draft, Unit
from adbench.engine.evaluate import Judge, measure
from adbench.engine.figures import draw
from adbench.engine.geometry import MapSpec
from adbench.engine.method import Method, split_scores
from adbench.engine.predictions import Predictions, write_predictions
from adbench.engine.protocol import Task, make_task
from adbench.engine.record import Cost, Quantiles, ResultRecord, Status, canonical_json, new_run, write_record
from adbench.engine.spec import components_of
from adbench.engine.stream import ExtractedStream, ImageLoader, TimedStream
from adbench.errors import AdbenchError, StorageError, UnitTimeout, UsageError, WeightsError
from adbench.registry import Registry

Watch = Callable[[str, int, int], None]
"""Told the name of a stage, how many images are done, and of how many."""

_LESS_MEMORY = "use a smaller --batch-size, smaller images, or a bank that keeps less"


@dataclass(frozen=True)
class Settings:
    """What does not change a score.

    Attributes:
        out: the folder of runs.
        device: torch's name of it.
        batch_size: images a batch.
        workers: threads that read images ahead.
        timeout: seconds that one unit may take; None for no limit.
        skip_bad: leave out files that cannot be read.
        redo: run finished units again.
        figures: draw pictures.
    """

    out: Path
    device: str = "cpu"
    batch_size: int = 8
    workers: int = 2
    timeout: float | None = None
    skip_bad: bool = False
    redo: bool = False
    figures: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a unit ended.

    Attributes:
        record: always there, for a failure too.
        folder: where it is, or would have been.
        fresh: False when it was finished before.
        unsaved: why it could not be written, if so.
        notes: what plugins' trackers complained of.
    """

    record: ResultRecord
    folder: Path
    fresh: bool = True
    unsaved: StorageError | None = None
    notes: tuple[str, ...] = ()


def choose_device(wish: str) -> str:
    """Torch's name for "auto", "cpu" or "cuda".

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if wish == "cuda" and not there:
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu, or install a build of torch for it")
    return "cuda" if wish == "cuda" or (wish == "auto" and there) else "cpu"


@dataclass
class Runner:
    """Runs units one after another; the backbone stays loaded between them."""

    registry: Registry
    settings: Settings
    watch: Watch = lambda _stage, _done, _total: None
    _loaded: dict[str, Backbone] = field(default_factory=dict)

    def run(self, unit: Unit) -> Outcome:
        """Run a unit, or find that it is done. What goes wrong with it is in the record, not raised.

        Raises:
            UsageError, WeightsError: the recipe cannot run at all: every other unit would fail in the same way.
        """
        components = components_of(unit.recipe, self.registry)
        require_compatible(unit.recipe.name, components, unit.protocol)
        draft = Draft(unit, components, self.registry, self.settings.out, self.settings.device)
        try:
            return self._attempt(draft, Method.of(components))
        except WeightsError:
            raise
        except AdbenchError as error:
            trace = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            status: Status = "timeout" if isinstance(error, UnitTimeout) else "failed"
            return self._save(draft, draft.failed(status, str(error)), trace=trace)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            told = f"{self.settings.device} ({str(error).strip().partition(chr(10))[0][:200] or 'no details'})"
            return self._save(draft, draft.failed("out-of-memory", f"out of memory on {told}; {_LESS_MEMORY}"))

    def _attempt(self, draft: Draft, method: Method) -> Outcome:
        """Run the unit, or find that it is done. Nothing may interrupt the writing of its record."""
        unit, settings = draft.unit, self.settings
        with blame(unit.dataset, "split"):
            draft.task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=settings.skip_bad)
        if not settings.redo and (done := draft.finished()):
            return Outcome(done, draft.folder, fresh=False)
        with tempfile.TemporaryDirectory(prefix="adbench-") as scratch, deadline(settings.timeout):
            predictions, cost = self._predict(draft, method, _context(unit, settings, Path(scratch)))
            judge = _judge(unit, draft.task, predictions)
            evidence = judge.evidence()
            metrics = measure(self._metrics(), evidence)
        return self._save(draft, draft.done(cost, metrics), judge, evidence)

    def _predict(self, draft: Draft, method: Method, ctx: Context) -> tuple[Predictions, Cost]:
        """Fit on the training images and score the test images."""
        task, settings = draft.task, self.settings
        backbone = self._backbone(method.backbone, ctx)
        method.prepare(ctx)
        with blame(backbone, "weights"):
            draft.weights = backbone.weights()
        loader = ImageLoader(draft.unit.dataset, method.preprocess, settings.batch_size, settings.workers)
        clock, memory = Clock(settings.device), PeakMemory(settings.device)

        def look(stage: str, samples: Sequence[Sample], walks: int) -> ExtractedStream:
            counter = self._counter(stage, len(samples))
            return ExtractedStream(
                loader, samples, backbone, ctx.workdir, images=method.reads_images, keep=walks > 1, seen=counter
            )

        test = look("score", task.test, 1 + method.walks(Source.TEST))
        with clock.measure("fit"):
            streams = {
                Source.NOTHING: look("learn", (), 0),
                Source.TRAIN: TimedStream(look("learn", task.train, method.walks(Source.TRAIN)), clock),
                Source.TEST: TimedStream(test, clock),
            }
            method.fit(streams, ctx)
            del streams  # and the features of the training images with them
        with clock.measure("test"):
            predictions = _score(method, test, clock)
        return predictions, _cost(clock, memory, method)

    def _backbone(self, backbone: Backbone, ctx: Context) -> Backbone:
        """The prepared backbone; the one that is loaded already, if it is the same and was told the same."""
        told = [ctx.device, ctx.seed, ctx.class_name if "class_name" in backbone.needs else None]
        key = canonical_json([backbone.name, backbone.version, backbone.identity(), told])
        if key not in self._loaded:
            self._loaded.clear()
            with blame(backbone, "prepare"):
                backbone.prepare(ctx)
            self._loaded[key] = backbone
        return self._loaded[key]

    def _counter(self, stage: str, total: int) -> Callable[[int], None]:
        done = 0

        def seen(images: int) -> None:
            nonlocal done
            done += images
            self.watch(stage, done, total)

        return seen

    def _metrics(self) -> list[Metric]:
        return [cast("Metric", entry.cls()) for entry in self.registry.entries("metric")]

    def _save(
        self,
        draft: Draft,
        record: ResultRecord,
        judge: Judge | None = None,
        evidence: Evidence | None = None,
        trace: str = "",
    ) -> Outcome:
        """Write a record and what belongs to it; a result that cannot be written is still handed back.

        A failure (of ``redo``) never takes the place of the same unit's result.
        """
        if record.status != "ok" and draft.finished():
            return Outcome(record, draft.folder, notes=self._tell_plugins(record))
        unsaved = None
        try:
            with new_run(self.settings.out, draft.folder.name) as folder:
                if judge is not None:
                    info = write_predictions(folder, judge.predictions)
                    record = record.model_copy(update={"predictions": info})
                    if self.settings.figures:
                        self.watch("draw", 0, 0)
                        draw(judge, folder, evidence)
                if trace:
                    (folder / "traceback.txt").write_text(trace, encoding="utf-8")
                write_record(folder, record)
        except StorageError as error:
            unsaved = error
        return Outcome(record, draft.folder, unsaved=unsaved, notes=self._tell_plugins(record))

    def _tell_plugins(self, record: ResultRecord) -> tuple[str, ...]:
        """Tell trackers; what they complain of must not cost a result."""
        problems = self.registry.call_each("job_finished", record=record.to_json())
        return tuple(f"plugin {problem.dist!r}: {problem.reason}" for problem in problems)


def _context(unit: Unit, settings: Settings, scratch: Path) -> Context:
    name = unit.category if unit.protocol.class_names else None
    return Context(seed=unit.seed, device=settings.device, workdir=scratch, class_name=name)


def _judge(unit: Unit, task: Task, predictions: Predictions) -> Judge:
    return Judge(unit.dataset, task.test, predictions, unit.recipe.map or MapSpec(), unit.protocol.grid)


def _cost(clock: Clock, memory: PeakMemory, method: Method) -> Cost:
    return Cost(
        extract_s=clock.seconds.get("extract", 0.0),
        fit_s=clock.seconds["fit"],
        test_s=clock.seconds["test"],
        ms_per_image=Quantiles(p50=clock.quantile_ms(0.5), p95=clock.quantile_ms(0.95)),
        peak_memory_mb=memory.process_mb(),
        peak_gpu_mb=memory.gpu_mb(),
        bank_mb=method.bank_bytes() / MB,
    )


def _score(method: Method, stream: FeatureStream, clock: Clock) -> Predictions:
    """Score every image of the stream, a lap of the clock for each batch."""
    images: list[ImageScores] = []
    geometry: list[Geometry] = []
    started = clock.now()
    for features in stream:
        images += split_scores(*method.score(features))
        geometry += features.geometry
        started = clock.lap(started, len(features))
    scores = method.aggregate(images).float().cpu().numpy()
    grids = [image.patches.numpy() for image in images if image.patches is not None]
    return Predictions(tuple(image.id for image in images), tuple(geometry), scores, tuple(grids) or None)
