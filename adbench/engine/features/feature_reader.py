"""From images to features: out of the cache, or computed by the backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from adbench.api.backbone import Backbone
from adbench.api.features import Features
from adbench.engine.features.cached_features import CachedFeatures
from adbench.engine.features.feature_batch import (
    FeatureBatch,
    as_given,
    changed,
    joined,
    one_image,
    rounded,
    shape_of,
)
from adbench.engine.features.feature_cache import FeatureFolder
from adbench.engine.features.ignoring import with_ignored
from adbench.engine.features.image_loader import ImageLoader, SourceImage, grouped
from adbench.engine.features.views import View
from adbench.engine.process.clock import Clock

FolderOfView = Callable[[View | None], FeatureFolder | None]
"""Finds the folder of the cache for features of one view; None where they are not cached."""


@dataclass(frozen=True)
class FeatureReader:
    """Reads the features of images, batch by batch.

    Attributes:
        backbone: ready to extract.
        loader: reads and prepares the images.
        clock: measures the time, on the device of the features.
        folder_of: where features are cached.
        images: whether the prepared images go along with the features, for parts that read them.
        half: whether features are rounded to 16 bits, new ones and cached ones.
    """

    backbone: Backbone
    loader: ImageLoader
    clock: Clock
    folder_of: FolderOfView = lambda _: None
    images: bool = False
    half: bool = False

    def read(self, images: Sequence[SourceImage], view: View | None = None) -> Iterator[FeatureBatch]:
        """Features of the images in one view, in order. Neighbours whose features have one shape share a batch."""
        folder = self.folder_of(view)
        for cached, neighbours in groupby(images, lambda image: _is_cached(folder, image)):
            if folder is not None and cached:
                yield from self._recall(folder, list(neighbours), view)
            else:
                yield from self._compute(folder, list(neighbours), view)

    def _compute(
        self, folder: FeatureFolder | None, images: Sequence[SourceImage], view: View | None
    ) -> Iterator[FeatureBatch]:
        """Features of images that are not in the cache; they are in it afterwards."""
        start, started = 0, self.clock.now()
        for batch in self.loader.batches(images, view):
            features = self.loader.reading.features(self.backbone, batch)
            features = rounded(self.backbone, features) if self.half else features
            seconds = self.clock.now() - started
            if folder is not None:
                self._keep(folder, images[start : start + len(batch)], features, seconds)
            start += len(batch)
            given = as_given(features, batch.images if self.images else None, half=self.half)
            given = with_ignored(given, [image.ignored for image in images[start - len(batch) : start]], view)
            yield FeatureBatch(given, seconds, 0, frozenset([self.backbone.runtime]))
            started = self.clock.now()

    def _recall(
        self, folder: FeatureFolder, images: Sequence[SourceImage], view: View | None
    ) -> Iterator[FeatureBatch]:
        """Features out of the cache; those that are damaged or gone are computed again."""
        entries = self.loader.ahead(lambda image: folder.get(image.digest), images)
        pairs = zip(images, entries, strict=True)
        for group in grouped(pairs, lambda pair: pair[1] and shape_of(pair[1].features), self.loader.reading.images):
            sources, found = [image for image, _ in group], [entry for _, entry in group if entry is not None]
            if not found:
                yield from self._compute(folder, sources, view)
                continue
            features = joined([image.alias for image in sources], [entry.features for entry in found])
            yield FeatureBatch(
                self._on_device(features, sources, view),
                sum(entry.ms for entry in found) / 1000,
                len(found),
                frozenset(entry.runtime for entry in found),
            )

    def _on_device(self, features: Features, sources: Sequence[SourceImage], view: View | None) -> Features:
        """Cached features as parts get them."""
        images = torch.stack([self.loader.load(image, view)[0] for image in sources]) if self.images else None
        given = as_given(changed(features, lambda tensor: tensor.to(self.clock.device)), images, half=self.half)
        return with_ignored(given, [image.ignored for image in sources], view)

    def _keep(self, folder: FeatureFolder, images: Sequence[SourceImage], features: Features, seconds: float) -> None:
        """Write each image's features into the cache."""
        ms = 1000 * seconds / len(features)
        for index, image in enumerate(images):
            if image.digest:
                folder.put(image.digest, CachedFeatures(one_image(features, index), ms, self.backbone.runtime))


def _is_cached(folder: FeatureFolder | None, image: SourceImage) -> bool:
    """Whether the cache has a file for the image; the file may still turn out to be damaged."""
    return folder is not None and image.digest != "" and folder.has(image.digest)
