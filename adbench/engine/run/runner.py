"""One unit of work from images to a record: extract, fit, score, evaluate, write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from adbench.api.bank import Source
from adbench.api.dataset import Sample
from adbench.api.memo import Memo
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.evaluate.folds import Fold
from adbench.engine.evaluate.lru import LruCache
from adbench.engine.features.contract import blame
from adbench.engine.features.feature_cache import FeatureCache, ShelfView
from adbench.engine.features.streams import ExtractedStream, ImageLoader, TimedStream, ViewedStream
from adbench.engine.features.views import View, views_of
from adbench.engine.pictures.embedding import MOST, embed
from adbench.engine.plan.aliases import with_ids
from adbench.engine.plan.compat import require_compatible
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.protocol import make_task
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.settings import Settings, choose_device
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import GRACE, Clock, PeakMemory, deadline
from adbench.engine.process.global_state import undisturbed
from adbench.engine.process.interrupts import go_on, is_stop
from adbench.engine.process.lock import unit_lock
from adbench.engine.process.safe_text import bounded
from adbench.engine.process.scratch import Scratch, delete
from adbench.engine.process.worker_status import WorkerStatus
from adbench.engine.run.backbone_pool import BackbonePool
from adbench.engine.run.crossfit import normal_scores, too_few_for
from adbench.engine.run.method import Method
from adbench.engine.run.progress import StageProgress, Watch
from adbench.engine.run.record_builder import RecordBuilder, UnitOutcome
from adbench.engine.run.result import Result, deployed
from adbench.engine.run.result_writer import ResultWriter
from adbench.engine.run.scoring import in_order_of, masking, places_in, repeats, score_stream
from adbench.engine.run.seed_watch import SeedWatch, WatchedContext
from adbench.engine.run.work import Fitted, Predicted, Work, cost_of, learning_of, scoring_of
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.predictions import Predictions
from adbench.errors import WeightsError
from adbench.registry import Registry

MEMO_BYTES = 1 << 28


@dataclass
class Runner:
    """Runs units one after another. What two of them have in common is not done twice.

    The backbone stays loaded, features are kept in the cache, and the last bank stays fitted for the next scorer.

    Attributes:
        watch: told how far a stage is.
        note: told sentences that a user should see.
        post: where a worker says which unit it is at.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """

    registry: Registry
    settings: Settings
    watch: Watch = lambda _stage, _done, _total: None
    note: Callable[[str], None] = lambda _: None
    post: WorkerStatus = field(default_factory=WorkerStatus)
    _sights: BackbonePool = field(init=False)
    _store: ResultWriter = field(init=False)
    _learned: Fitted | None = None
    _memo: Memo = field(default_factory=Memo)
    _results: Memo = field(default_factory=Memo)
    """What was said of the test images. Apart from what components remember, who must not find it: it has ids."""
    _seen: LruCache = field(default_factory=LruCache)
    _remarked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.settings = replace(self.settings, device=choose_device(self.settings.device))
        self._sights = BackbonePool(self.registry, self.settings, self._say)
        self._store = ResultWriter(self.registry, self.settings, lambda: self.watch("write", 0, 0))

    def _say(self, sentence: str) -> None:
        """Tell whoever listens by then."""
        self.note(bounded(sentence))

    @contextmanager
    def together(self, units: int) -> Iterator[None]:
        """What one of so many units that look at the same images has computed is kept for the others."""
        memos = self._memo, self._results
        for memo in memos:
            memo.budget = MEMO_BYTES if units > 1 else 0
        try:
            yield
        finally:
            for memo in memos:
                memo.forget()

    def run(self, unit: Unit, *, wait: bool = True) -> UnitOutcome | None:
        """Run a unit, or find that it has ended. What goes wrong with it is in the record, not raised.

        Returns:
            How it ended; None if another process is at it and is not to be waited for.

        Raises:
            UsageError, WeightsError: the recipe cannot run at all: every other unit would fail in the same way.
        """
        components = components_of(unit.recipe, self.registry)
        require_compatible(unit.recipe.name, components, unit.protocol)
        draft = RecordBuilder(unit, components, self.registry, self.settings.out, self.settings.device)
        try:
            return self._attempt(draft, Method.of(components, unit.recipe.map), wait=wait)
        except WeightsError:
            raise
        except BaseException as error:
            if is_stop(error):
                go_on()
                raise
            self.forget()  # what failed may have been left half done
            return self._store.failed(draft, error)
        finally:
            self.post.leave()

    def forget(self) -> None:
        """Let go of the last bank, and of the folder that it may keep files in."""
        if self._learned is not None:
            self._learned.scratch.close()
        self._learned = None

    def close(self) -> None:
        """Let go of all that is kept for the next unit."""
        self.forget()
        self._sights.close()

    def _attempt(self, draft: RecordBuilder, method: Method, *, wait: bool) -> UnitOutcome | None:
        """Find that the unit has ended, or run it, alone."""
        unit, settings = draft.unit, self.settings
        self.post.stand()
        with undisturbed(), blame(unit.dataset, "split"):
            draft.task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=settings.skip_bad)
        with undisturbed(), blame(unit.dataset, "survey"):
            survey = unit.dataset.survey(unit.category)
            draft.passed_over = None if survey is None else len(survey.passed_over)
        self.post.wait()
        with unit_lock(settings.out, draft.id, wait=wait) as mine:
            if not mine:
                return None
            self.post.stand()
            record = draft.record()
            if record is not None and not settings.again(record.status):
                return UnitOutcome(record, draft.folder, fresh=False)
            return self._perform(draft, method)

    def _perform(self, draft: RecordBuilder, method: Method) -> UnitOutcome:
        """Run the unit. Nothing may interrupt the writing of its record."""
        self._remark(draft.unit)
        clock, charged = Clock(self.settings.device, self._memo), self._memo.charged
        with clock.measure("wall"), undisturbed(), self._limit(), self._work(draft, method, clock) as work:
            scored = self._scored(work)
            predictions = replace(scored.predictions, normal=self._normal_scores(work))
            with clock.measure("evaluate"):
                judge = self._judge(work, predictions)
                result = self._result(judge, scored.vectors)
                metrics = measure(self._store.metrics(), result.evidence)
                draft.facts = {**draft.facts, **judge.facts()}
            self._remark(draft.unit, judge)
        times = {
            "threshold_s": clock.seconds.get("threshold", 0.0),
            "evaluate_s": clock.seconds["evaluate"],
            "wall_s": clock.seconds["wall"] - (self._memo.charged - charged),
        }
        return self._store.save(draft, draft.done(scored.cost.model_copy(update=times), metrics), result)

    @contextmanager
    def _limit(self) -> Iterator[None]:
        """The unit's time, after which a worker ends with all that it does, if nothing less will help."""
        seconds = self.settings.timeout
        with self.post.last_words() as file:
            self.post.stand(seconds and seconds + GRACE)
            with deadline(seconds, file):
                yield
        self.post.stand()

    def _remark(self, unit: Unit, judge: Evaluator | None = None) -> None:
        """Say what is known of how the images and masks were read, once."""
        with blame(unit.dataset, "remarks"):
            sentences = [*unit.dataset.remarks(unit.category), *(() if judge is None else judge.remarks())]
        for sentence in sentences:
            if sentence not in self._remarked:
                self._remarked.add(sentence)
                self.note(sentence)

    @contextmanager
    def _work(self, draft: RecordBuilder, method: Method, clock: Clock) -> Iterator[Work]:
        """Everything prepared, and a scratch folder that goes with the block, or with the bank if that stays."""
        scratch = Scratch()
        try:
            ctx = self._context(draft.unit, scratch.folder("work"))
            sight = self._sights.of(draft, method, ctx)
            method, chance = replace(method, backbone=sight.backbone), SeedWatch(ctx)
            method.prepare(ctx)
            draft.weights = [*sight.weights, *method.mask_weights()]
            yield Work(draft, method, sight, ctx, clock, self._cache_for(method, scratch), chance, scratch)
        finally:
            if self._learned is None or self._learned.scratch is not scratch:
                scratch.close()

    def _context(self, unit: Unit, scratch: Path) -> WatchedContext:
        return WatchedContext(
            seed=unit.seed,
            device=self.settings.device,
            workdir=scratch,
            class_name=unit.category if unit.protocol.class_names else None,
            runtime=self.settings.runtime,
            cache=self.settings.cache,
            memo=self._memo,
        )

    def _scored(self, work: Work) -> Predicted:
        """What the unit says of the test images; what another one of these said, if it must be the same."""
        about, seed = scoring_of(work), work.draft.unit.seed
        scored: Predicted | None = self._results.find((about, seed)) or self._results.find((about, "any seed"))
        if scored is None:
            scored = self._predict(work)
            if self._results.budget:  # to know its size, all of it is read
                self._results.keep((about, seed if scored.drew else "any seed"), scored, scored.nbytes)
        work.draft.runtime, work.draft.facts, work.draft.drew = scored.runtime, scored.facts, scored.drew
        return scored

    def _predict(self, work: Work) -> Predicted:
        """Fit on the training images, or take over what the unit before has fitted, and score the test images."""
        memory = PeakMemory(self.settings.device)
        learned = self._learned
        if learned is None or learned.key != learning_of(work):
            self.forget()  # the old bank goes before the new one comes
            learned = self._learned = self._learn(work, memory)
        method = replace(learned.method, scorer=work.method.scorer, aggregator=work.method.aggregator)
        task = work.draft.task
        gauge = StageProgress(self.watch, "score", len(task.blind_test))
        test = self._look(work, gauge, task.blind_test)
        vectors: list[np.ndarray] = []
        with work.clock.measure("test"), gauge.running():
            predictions = score_stream(method, test, vectors if self._to_show(test) else None)
        self._sights.tell(work.sight.backbone)
        return Predicted(
            in_order_of(task, predictions),
            cost_of(work.clock, memory, learned, test),
            drew=learned.drew or work.chance.drew,
            runtime="+".join(sorted(learned.runtimes | test.runtimes)),
            facts={**method.facts(), **masking(method, task), **repeats(task)},
            vectors=[vectors[place] for place in places_in(task)] if vectors else [],
        )

    def _learn(self, work: Work, memory: PeakMemory) -> Fitted:
        task, method, clock = work.draft.task, work.method, work.clock
        gauge = StageProgress(self.watch, "learn", method.looks(len(task.train), len(task.blind_test)))
        train, test = self._look_all_ways(work, gauge, task.train), self._look(work, gauge, task.blind_test)
        nothing = self._look(work, gauge, ())
        with clock.measure("fit"), gauge.running():
            streams = {
                Source.NOTHING: nothing,
                Source.TRAIN: TimedStream(train),
                Source.TEST: TimedStream(test),
            }
            method.fit(streams, work.ctx)
        seconds = {"extract": 0.0, "waited": 0.0, **clock.seconds}
        fit_s = seconds["fit"] - seconds["waited"] + seconds["extract"]
        return Fitted(
            learning_of(work),
            method,
            work.scratch,
            work.chance.drew,
            seconds["extract"],
            fit_s,
            train.recalled + test.recalled,
            frozenset(train.runtimes | test.runtimes),
            memory.process_mb(),
            memory.gpu_mb(),
        )

    def _look_all_ways(self, work: Work, gauge: StageProgress, samples: Sequence[Sample]) -> ViewedStream:
        """Normal images to learn from, in all views where an augmenter shows several."""
        return ViewedStream([self._look(work, gauge, samples, view) for view in views_of(work.method.augmenter)])

    def _look(
        self, work: Work, gauge: StageProgress, samples: Sequence[Sample], view: View | None = None
    ) -> ExtractedStream:
        settings, method, draft = self.settings, work.method, work.draft
        loader = ImageLoader(
            draft.unit.dataset,
            method.preprocess,
            settings.batch_size,
            settings.workers,
            draft.task.aliases,
            view,
        )
        return ExtractedStream(
            loader,
            samples,
            work.sight.backbone,
            work.clock,
            self._kept(work, view),
            images=method.reads_images,
            half=draft.unit.recipe.features == "float16",
            seen=gauge.seen,
        )

    def _kept(self, work: Work, view: View | None) -> ShelfView | None:
        """Where features are kept. Each view has a shelf of its own; all methods share that of the image itself."""
        if work.cache is None:
            return None
        about = dict(work.sight.about)
        if view is not None:
            about["view"] = {"augmenter": self._sights.part(view.augmenter), "number": view.number}
        return ShelfView(work.cache.shelf(about), work.draft.task.digests_by_alias)

    def _cache_for(self, method: Method, scratch: Scratch) -> FeatureCache | None:
        """The cache, or else a place in the scratch folder, if features are walked over repeatedly."""
        of_train = method.walks(Source.TRAIN)
        again = of_train > 1 or (of_train > 0 and self.settings.threshold is not None)
        if self._sights.cache is None and (again or method.walks(Source.TEST) > 0):
            return FeatureCache(scratch.folder("features"), note=self.note)
        return self._sights.cache

    def _normal_scores(self, work: Work) -> NormalScores | None:
        """Scores of normal images by banks that were fitted without them; None where nobody wants a threshold."""
        rule = self.settings.threshold
        if rule is None:
            return None
        unit, task, gauge = work.draft.unit, work.draft.task, StageProgress(self.watch, "threshold")
        apart = replace(work, clock=Clock(self.settings.device, self._memo))  # for what it counts is no part of the fit
        ctx = replace(work.ctx, workdir=work.scratch.folder("threshold"))  # nor may its files be taken for those of it

        def make() -> Method:
            delete(ctx.workdir)
            work.scratch.folder("threshold")
            method = replace(
                Method.of(components_of(unit.recipe, self.registry), unit.recipe.map), backbone=work.sight.backbone
            )
            method.prepare(ctx)
            return method

        def expect(folds: Sequence[Fold]) -> None:
            gauge.total = sum(work.method.looks(len(fold.learn), 0) + len(fold.judge) for fold in folds)

        learn, judge = partial(self._look_all_ways, apart, gauge), partial(self._look, apart, gauge)
        with work.clock.measure("threshold"), gauge.running():
            scores = too_few_for(work.method, rule, task.train, task.digests, ctx) or normal_scores(
                make, task.train, task.digests, learn, judge, ctx, expect
            )
        return replace(scores, reason=with_ids(scores.reason, task.aliases))

    def _judge(self, work: Work, predictions: Predictions) -> Evaluator:
        unit, settings = work.draft.unit, self.settings
        return Evaluator(
            unit.dataset,
            work.draft.task.test,
            predictions,
            unit.recipe.map or MapSpec(),
            unit.protocol.grid,
            device=settings.device,
            workers=settings.workers,
            seen=self._seen,
        )

    def _to_show(self, test: Sized) -> bool:
        """Whether the test images will be points on a page."""
        return self.settings.figures and len(test) <= MOST

    def _result(self, judge: Evaluator, vectors: Sequence[np.ndarray]) -> Result:
        rule, evidence = self.settings.threshold, judge.evidence()
        embedding = None
        if vectors:
            seen = torch.from_numpy(np.stack(vectors))
            embedding = self._memo.once(
                ("t-SNE", Memo.digest(seen)), lambda: embed(vectors), lambda _: 16 * len(vectors)
            )
        return Result(judge, evidence, deployed(judge, evidence, rule) if rule else None, embedding)
