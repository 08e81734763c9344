"""One unit of work from images to a record: extract, fit, score, evaluate, write."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from adbench.api.bank import Source
from adbench.api.context import Context
from adbench.api.dataset import Sample
from adbench.api.memo import Memo
from adbench.api.metric import Evidence, Metric
from adbench.engine.cache import FeatureCache, Kept
from adbench.engine.claim import claim
from adbench.engine.clock import MB, Clock, PeakMemory, deadline
from adbench.engine.compat import require_compatible
from adbench.engine.contract import blame, is_out_of_memory
from adbench.engine.details import details_of, write_details
from adbench.engine.draft import Draft, Outcome, Unit
from adbench.engine.evaluate import Judge, measure
from adbench.engine.figures import draw
from adbench.engine.geometry import MapSpec
from adbench.engine.method import Method, split_scores
from adbench.engine.predictions import Predictions, write_predictions
from adbench.engine.protocol import Task, make_task
from adbench.engine.record import Cost, Quantiles, ResultRecord, Status, canonical_json, new_run, write_record
from adbench.engine.said import Said
from adbench.engine.seen import Seen
from adbench.engine.settings import Settings, choose_device
from adbench.engine.sight import Sight, Sights
from adbench.engine.spec import components_of
from adbench.engine.stream import ExtractedStream, ImageLoader, TimedStream, ViewedStream
from adbench.engine.views import View, views_of
from adbench.errors import AdbenchError, StorageError, UnitTimeout, WeightsError
from adbench.registry import Registry

Watch = Callable[[str, int, int], None]
"""Told the name of a stage, how many images are done, and of how many."""

MEMO_BYTES = 1 << 28

_LESS_MEMORY = "use a smaller --batch-size, smaller images, or a bank that keeps less"


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
    """What running one unit brings with it."""

    draft: Draft
    method: Method
    sight: Sight
    ctx: Context
    clock: Clock
    cache: FeatureCache | None


@dataclass
class Runner:
    """Runs units one after another. What two of them have in common is not done twice.

    The backbone stays loaded, features are kept in the cache, and the last bank stays fitted for the next scorer.

    Attributes:
        watch: told how far a stage is.
        note: told sentences that a user should see.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """

    registry: Registry
    settings: Settings
    watch: Watch = lambda _stage, _done, _total: None
    note: Callable[[str], None] = lambda _: None
    _sights: Sights = field(init=False)
    _learned: Learned | None = None
    _memo: Memo = field(default_factory=Memo)
    _seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self.settings = replace(self.settings, device=choose_device(self.settings.device))
        self._sights = Sights(self.registry, self.settings, self._say)

    def _say(self, sentence: str) -> None:
        """Tell whoever listens by then."""
        self.note(sentence)

    @contextmanager
    def together(self, units: int) -> Iterator[None]:
        """What one of so many units that look at the same images has computed is kept for the others."""
        self._memo.budget = MEMO_BYTES if units > 1 else 0
        try:
            yield
        finally:
            self._memo.forget()

    def run(self, unit: Unit, *, wait: bool = True) -> Outcome | None:
        """Run a unit, or find that it has ended. What goes wrong with it is in the record, not raised.

        Returns:
            How it ended; None if another process is at it and is not to be waited for.

        Raises:
            UsageError, WeightsError: the recipe cannot run at all: every other unit would fail in the same way.
        """
        components = components_of(unit.recipe, self.registry)
        require_compatible(unit.recipe.name, components, unit.protocol)
        draft = Draft(unit, components, self.registry, self.settings.out, self.settings.device)
        try:
            return self._attempt(draft, Method.of(components), wait=wait)
        except WeightsError:
            raise
        except AdbenchError as error:
            trace = "".join(traceback.format_exception(error.__cause__)) if error.__cause__ else ""
            status: Status = "timeout" if isinstance(error, UnitTimeout) else "failed"
            return self._save(draft, draft.failed(status, str(error)), trace=trace)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._learned = None
            told = f"{self.settings.device} ({str(error).strip().partition(chr(10))[0][:200] or 'no details'})"
            return self._save(draft, draft.failed("out-of-memory", f"out of memory on {told}; {_LESS_MEMORY}"))

    def _attempt(self, draft: Draft, method: Method, *, wait: bool) -> Outcome | None:
        """Find that the unit has ended, or run it, alone."""
        unit, settings = draft.unit, self.settings
        with blame(unit.dataset, "split"):
            draft.task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=settings.skip_bad)
        with claim(settings.out, draft.id, wait=wait) as mine:
            if not mine:
                return None
            record = draft.record()
            if record is not None and not settings.again(record.status):
                return Outcome(record, draft.folder, fresh=False)
            return self._perform(draft, method)

    def _perform(self, draft: Draft, method: Method) -> Outcome:
        """Run the unit. Nothing may interrupt the writing of its record."""
        clock, settings, charged = Clock(self.settings.device, self._memo), self.settings, self._memo.charged
        with clock.measure("wall"), deadline(settings.timeout), self._work(draft, method, clock) as work:
            predictions, cost = self._predict(work)
            with clock.measure("evaluate"):
                judge = self._judge(work, predictions)
                evidence = judge.evidence()
                metrics = measure(self._metrics(), evidence)
        times = {
            "evaluate_s": clock.seconds["evaluate"],
            "wall_s": clock.seconds["wall"] - (self._memo.charged - charged),
        }
        return self._save(draft, draft.done(cost.model_copy(update=times), metrics), judge, evidence)

    @contextmanager
    def _work(self, draft: Draft, method: Method, clock: Clock) -> Iterator[Work]:
        """Everything prepared, and a scratch folder that goes with the block."""
        with tempfile.TemporaryDirectory(prefix="adbench-") as scratch:
            ctx = self._context(draft.unit, Path(scratch))
            sight = self._sights.of(draft, method, ctx)
            method = replace(method, backbone=sight.backbone)
            method.prepare(ctx)
            draft.weights = [*sight.weights, *method.mask_weights()]
            yield Work(draft, method, sight, ctx, clock, self._cache_for(method, ctx))

    def _context(self, unit: Unit, scratch: Path) -> Context:
        return Context(
            seed=unit.seed,
            device=self.settings.device,
            workdir=scratch,
            class_name=unit.category if unit.protocol.class_names else None,
            runtime=self.settings.runtime,
            cache=self.settings.cache,
            memo=self._memo,
        )

    def _predict(self, work: Work) -> tuple[Predictions, Cost]:
        """Fit on the training images, or take over what the unit before has fitted, and score the test images."""
        memory = PeakMemory(self.settings.device)
        kept = self._kept(work)
        learned = self._learned
        if learned is None or learned.key != _key(work):
            learned = self._learned = None  # the old bank goes before the new one comes
            learned = self._learned = self._learn(work, kept, memory)
        method = replace(learned.method, scorer=work.method.scorer, aggregator=work.method.aggregator)
        test = self._look(work, "score", work.draft.task.test, kept)
        with work.clock.measure("test"):
            predictions = _score(method, test)
        work.draft.runtime = "+".join(sorted(learned.runtimes | test.runtimes))
        work.draft.facts = {**method.bank.facts(), **_masking(method, work.draft.task)}
        self._sights.tell(work.sight.backbone)
        return predictions, _cost(work.clock, memory, learned, test)

    def _learn(self, work: Work, kept: Kept | None, memory: PeakMemory) -> Learned:
        task, method, clock = work.draft.task, work.method, work.clock
        train, test = self._look_all_ways(work, task.train), self._look(work, "learn", task.test, kept)
        nothing = self._look(work, "learn", (), None)
        with clock.measure("fit"):
            streams = {
                Source.NOTHING: nothing,
                Source.TRAIN: TimedStream(train),
                Source.TEST: TimedStream(test),
            }
            method.fit(streams, work.ctx)
        seconds = {"extract": 0.0, "waited": 0.0, **clock.seconds}
        fit_s = seconds["fit"] - seconds["waited"] + seconds["extract"]
        return Learned(
            _key(work),
            method,
            seconds["extract"],
            fit_s,
            train.recalled + test.recalled,
            frozenset(train.runtimes | test.runtimes),
            memory.process_mb(),
            memory.gpu_mb(),
        )

    def _look_all_ways(self, work: Work, samples: Sequence[Sample]) -> ViewedStream:
        """Normal images to learn from, in all views where an augmenter shows several."""
        views = views_of(work.method.augmenter)
        seen = self._counter("learn", len(views) * len(samples))
        return ViewedStream(
            [self._look(work, "learn", samples, self._kept(work, view), view=view, seen=seen) for view in views]
        )

    def _look(
        self,
        work: Work,
        stage: str,
        samples: Sequence[Sample],
        kept: Kept | None,
        *,
        view: View | None = None,
        seen: Callable[[int], None] | None = None,
    ) -> ExtractedStream:
        settings, method, draft = self.settings, work.method, work.draft
        loader = ImageLoader(draft.unit.dataset, method.preprocess, settings.batch_size, settings.workers, view)
        return ExtractedStream(
            loader,
            samples,
            work.sight.backbone,
            work.clock,
            kept,
            images=method.reads_images,
            half=draft.unit.recipe.features == "float16",
            seen=seen or self._counter(stage, len(samples)),
        )

    def _kept(self, work: Work, view: View | None = None) -> Kept | None:
        """Where features are kept. Each view has a shelf of its own; all methods share that of the image itself."""
        if work.cache is None:
            return None
        about = dict(work.sight.about)
        if view is not None:
            about["view"] = {"augmenter": self._sights.part(view.augmenter), "number": view.number}
        return Kept(work.cache.shelf(about), work.draft.task.digests)

    def _cache_for(self, method: Method, ctx: Context) -> FeatureCache | None:
        """The cache, or else the scratch folder, if features are walked over repeatedly."""
        walked = method.walks(Source.TRAIN) > 1 or method.walks(Source.TEST) > 0
        if self._sights.cache is None and walked:
            return FeatureCache(ctx.workdir, note=self.note)
        return self._sights.cache

    def _judge(self, work: Work, predictions: Predictions) -> Judge:
        unit, settings = work.draft.unit, self.settings
        return Judge(
            unit.dataset,
            work.draft.task.test,
            predictions,
            unit.recipe.map or MapSpec(),
            unit.protocol.grid,
            device=settings.device,
            workers=settings.workers,
            seen=self._seen,
        )

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
        """Write a record and what belongs to it; a result that cannot be written is still handed back."""
        if record.status != "ok" and draft.has_result():
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
                        write_details(folder, details_of(record.id, judge, self._metrics(), evidence))
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


def _key(work: Work) -> str:
    """What decides what is learned: all of the recipe but how it scores, the images, the seed."""
    spec, unit = work.draft.spec, work.draft.unit
    learning: list[Any] = [spec.get(slot) for slot in ("augment", "neck", "masker", "bank")]
    told = [unit.seed, work.ctx.class_name, unit.recipe.features]
    return canonical_json([dict(work.sight.about), learning, told, work.draft.task.sha])


def _masking(method: Method, task: Task) -> dict[str, float]:
    """How many images were seen whole, as the masker left nothing of them; nothing to say without a masker."""
    if method.masker is None:
        return {}
    counts = {"train": task.train, "test": task.test}
    return {
        f"seen_whole_{name}": float(sum(sample.id in method.seen_whole for sample in samples))
        for name, samples in counts.items()
    }


def _cost(clock: Clock, memory: PeakMemory, learned: Learned, test: ExtractedStream) -> Cost:
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


def _score(method: Method, stream: ExtractedStream) -> Predictions:
    """Score every image of the stream. A lap of the clock is what the features cost when new, and the scoring."""
    said, clock = Said(), stream.clock
    clock.add("score", 0.0)
    for features in stream:
        started = clock.now()
        query, found = method.score(features)
        scores = split_scores(query, found)
        scoring = clock.now() - started
        said.add(scores, features.geometry, query.foreground)
        clock.add("score", scoring)
        clock.add("test-extract", stream.spent)
        clock.lap(stream.spent + scoring, len(features))
    return said.predictions(method.aggregate(said).float().cpu().numpy())
