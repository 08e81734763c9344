"""Images to batches to features: read ahead, grouped by size, taken from the shelf where they have been seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.dataset import Dataset, Sample
from adbench.api.features import Batch, Features, FeatureStream
from adbench.api.geometry import Geometry
from adbench.api.stages import Masker, Neck, Preprocessor
from adbench.engine.features.contract import (
    blame,
    check_features,
    check_foreground,
    check_neck,
    check_prepared,
    check_rounded,
    prepared_pair,
)
from adbench.engine.features.feature_cache import CachedFeatures, ShelfView
from adbench.engine.features.read_ahead import Item, read_ahead
from adbench.engine.process.clock import Clock

Prepared = tuple[Tensor, Geometry]


class ImageLoader:
    """Reads images, prepares them, and groups neighbours of one size into batches.

    Args:
        dataset, preprocess: whence images come, and how they are prepared.
        batch_size, workers: images a batch, and threads that read ahead.
        aliases: what components call each image, by its id.
        view: what is seen of an image before its preparation; None for the image itself.
    """

    def __init__(
        self,
        dataset: Dataset,
        preprocess: Sequence[Preprocessor],
        batch_size: int,
        workers: int,
        aliases: Mapping[str, str],
        view: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.dataset, self.preprocess, self.aliases, self.view = dataset, preprocess, aliases, view
        self.batch_size, self.workers = batch_size, workers

    def prepare(self, sample: Sample) -> Prepared:
        """One image, [3, H, W] float32 from 0 to 1, and where its pixels come from.

        Raises:
            BadImage: the file cannot be read.
        """
        with blame(self.dataset, "image"):
            image = torch.from_numpy(self.dataset.image(sample)).permute(2, 0, 1)
        image = image if self.view is None else self.view(image)
        geometry = Geometry.whole(image.shape[1], image.shape[2])
        for step in self.preprocess:
            with blame(step, "apply"):
                image, geometry = prepared_pair(step, step.apply(image, geometry))
                check_prepared(step, image, geometry)
        return (image.float().div_(255) if image.dtype == torch.uint8 else image), geometry

    def batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        """Batches in the order of the samples; a batch ends early where the size changes."""
        prepared = read_ahead(self.prepare, samples, self.workers, 2 * self.batch_size)
        named = zip(self.names(samples), prepared, strict=True)
        for group in self.grouped(named, lambda item: item[1][0].shape):
            yield _batch(group)

    def names(self, samples: Iterable[Sample]) -> list[str]:
        """What components call these images."""
        return [self.aliases[sample.id] for sample in samples]

    def grouped(self, items: Iterable[Item], size: Callable[[Item], object]) -> Iterator[list[Item]]:
        """Neighbours of one size, at most a batch of them."""
        group: list[Item] = []
        for item in items:
            if group and (len(group) == self.batch_size or size(group[0]) != size(item)):
                yield group
                group = []
            group.append(item)
        if group:
            yield group


def _batch(group: Sequence[tuple[str, Prepared]]) -> Batch:
    return Batch(
        ids=tuple(name for name, _ in group),
        images=torch.stack([image for _, (image, _) in group]),
        geometry=tuple(geometry for _, (_, geometry) in group),
    )


class ExtractedStream(FeatureStream):
    """What the backbone sees in some images.

    Args:
        loader, samples, backbone: whence the features come.
        clock: tells how long that takes, and on which device.
        kept: where features are looked up and kept; None for neither.
        images: whether the prepared images go along with the features, for parts that read them.
        half: whether features are rounded to 16 bits, be they new or kept.
        seen: called with the number of images after each batch.

    Attributes:
        spent: seconds from file to features of the last batch: measured now, or when its features were new.
        recalled: images whose features came from the shelf, over all walks.
        runtimes: what computed the features.
    """

    def __init__(
        self,
        loader: ImageLoader,
        samples: Sequence[Sample],
        backbone: Backbone,
        clock: Clock,
        kept: ShelfView | None = None,
        *,
        images: bool = False,
        half: bool = False,
        seen: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.loader, self.samples, self.backbone, self.seen = loader, samples, backbone, seen
        self.clock, self.spent, self.recalled = clock, 0.0, 0
        self.runtimes: set[str] = set()
        self._kept, self._images, self._half = kept, images, half

    @property
    def ids(self) -> Sequence[str]:
        return self.loader.names(self.samples)

    def __iter__(self) -> Iterator[Features]:
        kept, aliases = self._kept, self.loader.aliases
        for known, neighbours in groupby(self.samples, lambda one: kept is not None and kept.has(aliases[one.id])):
            samples = list(neighbours)
            for features in self._recall(kept, samples) if kept is not None and known else self._look(samples):
                self.seen(len(features))
                yield features

    def _look(self, samples: Sequence[Sample]) -> Iterator[Features]:
        """Features of images that the backbone has not seen."""
        started = self.clock.now()
        for batch in self.loader.batches(samples):
            features = self._rounded(extract(self.backbone, batch))
            self.spent = self.clock.now() - started
            self.runtimes.add(self.backbone.runtime)
            self._keep(features)
            yield self._given(features, batch.images)
            started = self.clock.now()

    def _recall(self, kept: ShelfView, samples: Sequence[Sample]) -> Iterator[Features]:
        """Features that are kept; what turns out to be damaged or gone is looked at again."""
        names = self.loader.names(samples)
        both = zip(samples, read_ahead(kept.get, names, self.loader.workers, 2 * self.loader.batch_size), strict=True)
        for group in self.loader.grouped(both, lambda item: _shape(item[1])):
            looked = [sample for sample, _ in group]
            there = [entry for _, entry in group if entry is not None]
            if not there:
                yield from self._look(looked)
                continue
            self.spent = sum(entry.ms for entry in there) / 1000
            self.recalled += len(there)
            self.runtimes |= {entry.runtime for entry in there}
            images = torch.stack([self.loader.prepare(sample)[0] for sample in looked]) if self._images else None
            joined = _joined(self.loader.names(looked), there)
            yield self._given(_changed(joined, lambda tensor: tensor.to(self.clock.device)), images)

    def _keep(self, features: Features) -> None:
        if self._kept is not None:
            ms = 1000 * self.spent / len(features)
            for index, name in enumerate(features.ids):
                self._kept.put(name, CachedFeatures(_one(features, index), ms, self.backbone.runtime))

    def _rounded(self, features: Features) -> Features:
        if not self._half:
            return features
        rounded = _changed(features, lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)
        check_rounded(self.backbone, features, rounded)
        return rounded

    def _given(self, features: Features, images: Tensor | None) -> Features:
        """Features as banks and scorers get them: of 32 bits, with images for parts that read them."""
        if self._half:
            features = _changed(features, lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)
        return features.having(images=images if self._images else None)


def extract(backbone: Backbone, batch: Batch) -> Features:
    """A checked call of the backbone, without gradients."""
    with blame(backbone, "extract"), torch.no_grad():
        features = backbone.extract(batch)
        return check_features(backbone, batch, features)


def _changed(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """Features after a change of every tensor but the images."""
    fields = {name: getattr(features, name) for name in ("patches", "image", "foreground")}
    changed = {name: change(value) for name, value in fields.items() if value is not None}
    layers = None if features.layers is None else {name: change(value) for name, value in features.layers.items()}
    return features.having(layers=layers, **changed)


def _one(features: Features, index: int) -> Features:
    """The features of one image of a batch."""
    one = _changed(features, lambda tensor: tensor[index : index + 1])
    return one.having(ids=(features.ids[index],), geometry=(features.geometry[index],), images=None)


def _joined(ids: Sequence[str], entries: Sequence[CachedFeatures]) -> Features:
    """One batch of images that were kept one by one."""
    parts = [entry.features for entry in entries]
    fields = {name: [getattr(part, name) for part in parts] for name in ("patches", "image", "foreground")}
    joined = {name: torch.cat(tensors) for name, tensors in fields.items() if tensors[0] is not None}
    first = parts[0].layers
    layers = (
        None if first is None else {name: torch.cat([(part.layers or {})[name] for part in parts]) for name in first}
    )
    return Features(tuple(ids), tuple(part.geometry[0] for part in parts), layers=layers, **joined)


def _shape(entry: CachedFeatures | None) -> object:
    """What the features of one batch have in common; None for what has to be looked at again."""
    if entry is None:
        return None
    layers = (entry.features.layers or {}).items()
    patches = entry.features.patches
    return None if patches is None else patches.shape, *((name, tensor.shape) for name, tensor in layers)


class ViewedStream(FeatureStream):
    """What the backbone sees in the same images, view after view.

    Args:
        views: a stream for each view; of each that goes by, `spent` tells.
    """

    def __init__(self, views: Sequence[ExtractedStream]) -> None:
        self.views, self._current = views, views[0]

    @property
    def ids(self) -> Sequence[str]:
        return [name for view in self.views for name in view.ids]

    @property
    def clock(self) -> Clock:
        return self._current.clock

    @property
    def spent(self) -> float:
        return self._current.spent

    @property
    def recalled(self) -> int:
        return sum(view.recalled for view in self.views)

    @property
    def runtimes(self) -> set[str]:
        return set().union(*(view.runtimes for view in self.views))

    def __iter__(self) -> Iterator[Features]:
        for view in self.views:
            self._current = view
            yield from view


def apply_necks(necks: Sequence[Neck], features: Features) -> Features:
    """Features after all necks, without gradients."""
    for neck in necks:
        with blame(neck, "apply"), torch.no_grad():
            features = check_neck(neck, features, neck.apply(features))
    return features


def find_object(
    masker: Masker | None, features: Features, nothing: Callable[[str], object] = lambda _: None
) -> Features:
    """Features with the foreground that the masker finds, if there is one. Where it leaves nothing, it is everything.

    Args:
        masker: None for no foreground.
        features: of some images.
        nothing: called with the alias of each image of which nothing is left.
    """
    if masker is None:
        return features
    with blame(masker, "mask"), torch.no_grad():
        foreground = masker.mask(features)
        check_foreground(masker, features, foreground)
        empty = ~foreground.flatten(1).any(dim=1)
    for name, is_empty in zip(features.ids, empty.tolist(), strict=True):
        if is_empty:
            nothing(name)
    return features.having(foreground=foreground | empty[:, None, None])


class TimedStream(FeatureStream):
    """A stream that a part learns from, with its cost on the clock.

    The clock's "waited" is the time that the features took here and now; "extract" is what they cost when they were
    new, once, however often they are walked over.
    """

    def __init__(self, source: ExtractedStream | ViewedStream) -> None:
        self.source = source
        self._paid = False

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        walk, clock = iter(self.source), self.source.clock
        while True:
            with clock.measure("waited"):
                features = next(walk, None)
            if features is None:
                break
            if not self._paid:
                clock.add("extract", self.source.spent)
            yield features
        self._paid = True
