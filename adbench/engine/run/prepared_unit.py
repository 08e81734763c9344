"""What is to run: a unit with its components prepared, its images, and the tools that measure it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adbench.api.bank import Source
from adbench.api.dataset import Sample
from adbench.engine.features.feature_cache import FeatureCache, FeatureFolder
from adbench.engine.features.feature_reader import FeatureReader, FolderOfView
from adbench.engine.features.image_loader import ImageLoader, source_images
from adbench.engine.features.streams import ImageStream
from adbench.engine.features.views import View, views_of
from adbench.engine.plan.aliases import blind_order
from adbench.engine.plan.protocol import Task
from adbench.engine.plan.recipe import components_of
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.unit import Unit
from adbench.engine.process.clock import Clock
from adbench.engine.process.progress import Watch
from adbench.engine.process.scratch import Scratch, delete
from adbench.engine.run.backbone_pool import BackbonePool, LoadedBackbone, TuningImages
from adbench.engine.run.method import Method
from adbench.engine.run.record_builder import RecordBuilder
from adbench.engine.run.seed_watch import SeedWatch, WatchedContext
from adbench.engine.store.record import canonical_json

Progress = Callable[[int], None]
"""A callback: how many more images are done."""


@dataclass(frozen=True)
class PreparedUnit:
    """A unit that can run.

    Attributes:
        builder: builds its record.
        method: its components, prepared.
        backbone: the method's backbone, and what decides its features.
        reader: reads the features of its images.
        ctx: the context of its components.
        clock: measures its times.
        seed_watch: knows whether anything was drawn since the backbone was ready.
        scratch: its temporary files; those of its components are in the folder `work`.
        retuned: makes the same unit with a backbone that was tuned to other images.
        cache: of features, which units share; None where the user wants none.
    """

    builder: RecordBuilder
    method: Method
    backbone: LoadedBackbone
    reader: FeatureReader
    ctx: WatchedContext
    clock: Clock
    seed_watch: SeedWatch
    scratch: Scratch
    retuned: Callable[[PreparedUnit, Sequence[Sample]], PreparedUnit]
    cache: FeatureCache | None = None

    @property
    def unit(self) -> Unit:
        """The recipe, the category and the seed."""
        return self.builder.unit

    @property
    def task(self) -> Task:
        """The images."""
        return self.builder.task

    def images(self, samples: Sequence[Sample], progress: Progress) -> ImageStream:
        """Features of some images as they are."""
        return self._stream(samples, [None], progress)

    def training_images(self, samples: Sequence[Sample], progress: Progress) -> ImageStream:
        """Features of normal images to learn from, in every view of the augmenter."""
        return self._stream(samples, views_of(self.method.augmenter), progress)

    def labelled_images(self, samples: Sequence[Sample], progress: Progress) -> ImageStream:
        """Features of normal images and of the exemplars, in every view and in an order by alias, with their labels."""
        task = self.task
        mixed = blind_order((*samples, *task.exemplars), task.aliases)
        return self._stream(mixed, views_of(self.method.augmenter), progress, task.labels)

    def _stream(
        self,
        samples: Sequence[Sample],
        views: Sequence[View | None],
        progress: Progress,
        labels: Mapping[str, int] | None = None,
    ) -> ImageStream:
        images = source_images(self.unit.dataset, samples, self.task.aliases, self.task.digests)
        known = {image.alias: labels[image.alias] for image in images} if labels else None
        return ImageStream(self.reader, images, views, progress, known)

    @property
    def fit_key(self) -> str:
        """Decides what is learned: the recipe without its scoring, the images and the seed."""
        return canonical_json([*self._key("augment", "neck", "masker", "bank"), self.unit.seed])

    @property
    def score_key(self) -> str:
        """Decides the scores of the test images, beside the seed: the images, and the recipe without its map.

        Only an aggregator that reads the map makes other scores of another map.
        """
        maps = ["map"] if self.method.aggregator.reads == "map" else []
        return canonical_json(self._key("augment", "neck", "masker", "bank", "scorer", "aggregate", *maps))

    def _key(self, *slots: str) -> list[object]:
        spec = self.builder.spec
        given = [self.ctx.class_name, self.unit.recipe.features]
        return [dict(self.backbone.about), [spec.get(slot) for slot in slots], given, self.task.sha]

    def tuned_to(self, samples: Sequence[Sample]) -> PreparedUnit:
        """The same unit with its backbone tuned to these images alone; itself without a tuner."""
        return self if self.method.tuner is None else self.retuned(self, samples)

    def reader_in(self, cache: FeatureCache | None, *, passing: bool = False) -> FeatureReader:
        """The reader of images as they are, with another cache; None for none.

        Args:
            cache: keeps the features.
            passing: whether they give way to all others there.
        """
        folder = None if cache is None else cache.folder_for(dict(self.backbone.about), passing=passing)
        return replace(self.reader, folder_of=lambda view: folder if view is None else None)

    def aside(self, name: str) -> PreparedUnit:
        """The same unit for work that is no part of its result: with a clock and a scratch folder of its own."""
        clock = replace(self.clock, seconds={}, per_image_ms=[])
        ctx = replace(self.ctx, workdir=self.scratch.folder(name))
        return replace(self, clock=clock, ctx=ctx, reader=replace(self.reader, clock=clock))


@dataclass(frozen=True)
class UnitPreparer:
    """Prepares units.

    Attributes:
        settings: how they run.
        backbones: the loaded backbone.
        note: called with each sentence that a user should see.
        watch: called with the progress of a component that works for long.
    """

    settings: Settings
    backbones: BackbonePool
    note: Callable[[str], None]
    watch: Watch = lambda _stage, _done, _total: None

    @contextmanager
    def prepared(
        self, builder: RecordBuilder, method: Method, clock: Clock, is_kept: Callable[[Scratch], bool]
    ) -> Iterator[PreparedUnit]:
        """Prepare the components of a unit.

        Its scratch folder goes when the block ends, unless `is_kept`: then it stays with the bank whose files it holds.
        """
        scratch = Scratch()
        try:
            ctx = self._context(builder.unit, scratch.folder("work"))
            loaded = self.backbones.of(builder, method, ctx, self._tuning_images(builder, method, builder.task.train))
            method, seed_watch = replace(method, backbone=loaded.backbone, tuned=loaded.tuned), SeedWatch(ctx)
            method.prepare(ctx)
            builder.weights = [*loaded.weights, *method.later_weights()]
            reader = self._reader(builder.unit, method, clock, self._folders(method, loaded, scratch, builder.task))
            shared = self.backbones.cache
            yield PreparedUnit(builder, method, loaded, reader, ctx, clock, seed_watch, scratch, self._retuned, shared)
        finally:
            if not is_kept(scratch):
                scratch.close()

    def _tuning_images(self, builder: RecordBuilder, method: Method, samples: Sequence[Sample]) -> TuningImages:
        task = builder.task
        return self._loader(method), source_images(builder.unit.dataset, samples, task.aliases, task.digests)

    def _retuned(self, unit: PreparedUnit, samples: Sequence[Sample]) -> PreparedUnit:
        """A unit with a backbone that was tuned to these images alone."""
        builder = unit.builder
        fresh = Method.of(components_of(unit.unit.recipe, builder.registry), unit.unit.recipe.map)
        workdir = unit.scratch.folder("retuned")
        delete(workdir)  # what the backbone of an earlier fold kept
        workdir.mkdir()
        ctx = replace(unit.ctx, workdir=workdir)
        loaded = self.backbones.retuned(builder, fresh, ctx, self._tuning_images(builder, fresh, samples))
        method = replace(unit.method, backbone=loaded.backbone, tuned=loaded.tuned)
        folders = self._folders(method, loaded, unit.scratch, unit.task)
        reader = replace(unit.reader, backbone=loaded.backbone, folder_of=folders)
        return replace(unit, method=method, backbone=loaded, reader=reader)

    def _context(self, unit: Unit, workdir: Path) -> WatchedContext:
        return WatchedContext(
            seed=unit.seed,
            device=self.settings.device,
            workdir=workdir,
            class_name=unit.category if unit.protocol.class_names else None,
            runtime=self.settings.runtime,
            cache=self.settings.cache,
            watch=self.watch,
        )

    def _reader(self, unit: Unit, method: Method, clock: Clock, folder_of: FolderOfView) -> FeatureReader:
        half = unit.recipe.features == "float16"
        return FeatureReader(
            method.backbone, self._loader(method), clock, folder_of, images=method.reads_images, half=half
        )

    def _loader(self, method: Method) -> ImageLoader:
        return ImageLoader(method.preprocess, self.settings.batch_size, self.settings.workers)

    def _folders(self, method: Method, loaded: LoadedBackbone, scratch: Scratch, task: Task) -> FolderOfView:
        """Where features are cached. Each view has a folder of its own; all methods share that of the image itself."""
        cache, views = self._cache(method, scratch), len(views_of(method.augmenter))
        images = views * (len(task.train) + len(task.exemplars)) + len(task.test)

        def folder(view: View | None) -> FeatureFolder | None:
            if cache is None:
                return None
            about = dict(loaded.about)
            if view is not None:
                about["view"] = {"augmenter": self.backbones.part(view.augmenter), "number": view.number}
            return cache.folder_for(about, images)

        return folder

    def _cache(self, method: Method, scratch: Scratch) -> FeatureCache | None:
        """The user's cache. Without one, a folder in the scratch folder where features are needed more than once."""
        passes = method.passes(Source.TRAIN)
        repeated = passes > 1 or (passes > 0 and self.settings.threshold is not None)
        if self.backbones.cache is None and (repeated or method.passes(Source.TEST) > 0):
            return FeatureCache(scratch.folder("features"), self.settings.cache_limit, self.note)
        return self.backbones.cache
