"""Streams of features: what necks, banks and scorers walk over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from adbench.api.features import Features, FeatureStream
from adbench.engine.features.feature_batch import FeatureBatch, FeatureCost
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import SourceImage
from adbench.engine.features.views import View


class ImageStream(FeatureStream):
    """Features of some images, view after view.

    Args:
        reader: reads the features.
        images: in the order of the stream.
        views: the views in which each image is shown; None stands for the image itself.
        progress: called with the number of images of each batch.
        labels: the class of each image by its alias, where it is known.
    """

    def __init__(
        self,
        reader: FeatureReader,
        images: Sequence[SourceImage],
        views: Sequence[View | None] = (None,),
        progress: Callable[[int], None] = lambda _: None,
        labels: Mapping[str, int] | None = None,
    ) -> None:
        self._reader, self._images, self._views, self._progress = reader, images, views, progress
        self._labels = labels or {}

    @property
    def ids(self) -> Sequence[str]:
        return [image.alias for _ in self._views for image in self._images]

    @property
    def labels(self) -> Mapping[str, int]:
        return self._labels

    def __iter__(self) -> Iterator[Features]:
        return (batch.features for batch in self.batches())

    def batches(self) -> Iterator[FeatureBatch]:
        """The features with their cost; starts from the first image again."""
        for view in self._views:
            for batch in self._reader.read(self._images, view):
                self._progress(len(batch.features))
                yield batch


class MeteredStream(FeatureStream):
    """A stream that a part learns from. Its cost is added to `cost`, once, however often the part walks over it.

    Args:
        source: the stream.
        cost: the total, over all streams of the fit.
        now: the time in seconds.
    """

    def __init__(self, source: ImageStream, cost: FeatureCost, now: Callable[[], float]) -> None:
        self._source, self._cost, self._now = source, cost, now
        self._walked = False

    @property
    def ids(self) -> Sequence[str]:
        return self._source.ids

    @property
    def labels(self) -> Mapping[str, int]:
        return self._source.labels

    def __iter__(self) -> Iterator[Features]:
        batches = self._source.batches()
        while (batch := self._next(batches)) is not None:
            self._cost.add(batch, walked_before=self._walked)
            yield batch.features
        self._walked = True

    def _next(self, batches: Iterator[FeatureBatch]) -> FeatureBatch | None:
        """The next batch; the time until it is there was waited."""
        started = self._now()
        try:
            return next(batches, None)
        finally:
            self._cost.waited += self._now() - started
