"""Scores of images that come one after the other: in batches, in constant memory, and in their order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from adbench.api.features import Features, ImageScores
from adbench.api.geometry import Geometry
from adbench.datasets import IgnoreMask
from adbench.detector.fit.appearance import Appearance
from adbench.detector.fit.images import GivenImage
from adbench.engine.features.feature_batch import as_given, rounded
from adbench.engine.features.ignoring import blanked, on_prepared
from adbench.engine.features.image_loader import Prepared, batch_of, grouped, prepared
from adbench.engine.features.read_ahead import read_ahead
from adbench.engine.features.tiles import ImageReading, tiling_of
from adbench.engine.plan.settings import Settings
from adbench.engine.run.method import Method, split_scores
from adbench.errors import BadImage


class ScoredImage(NamedTuple):
    """An image and its scores.

    Attributes:
        image: the image.
        score: the image score.
        scores: the scores of its patches, or of the image, by the scorer.
        geometry: where the prepared image lies in the original.
        appearance: what the image looks like.
        milliseconds: its share of the batch's time, reading included.
    """

    image: GivenImage
    score: float
    scores: ImageScores
    geometry: Geometry
    appearance: Appearance
    milliseconds: float


class _Read(NamedTuple):
    image: GivenImage
    prepared: Prepared
    appearance: Appearance
    seconds: float


@dataclass(frozen=True)
class Scoring:
    """Scores images with a fitted method.

    Attributes:
        method: fitted.
        settings: batch size and readers.
        half: whether features are rounded to 16 bits.
        white: the number that is white in images of more than 8 bits.
        ignore: the pixels of all images that nobody looks at; None for none.
    """

    method: Method
    settings: Settings
    half: bool = False
    white: float | None = None
    ignore: IgnoreMask | None = None

    @property
    def reading(self) -> ImageReading:
        """How the backbone reads the prepared images."""
        return ImageReading(tiling_of(self.method.preprocess), self.settings.batch_size)

    def scores(self, images: Iterable[GivenImage]) -> Iterator[ScoredImage | BadImage]:
        """The scores of each image, or the error with which it cannot be read; in order."""
        together = self.reading.images
        readings = read_ahead(self._read, images, self.settings.workers, 2 * together)
        for group in grouped(readings, _size, together):
            if isinstance(group[0], BadImage):
                yield from (bad for bad in group if isinstance(bad, BadImage))
            else:
                yield from self._scored([read for read in group if isinstance(read, _Read)])

    def features(self, reads: Sequence[tuple[str, Prepared]]) -> Features:
        """The features of prepared images, each with its name."""
        batch = batch_of(reads)
        features = self.reading.features(self.method.backbone, batch)
        features = rounded(self.method.backbone, features) if self.half else features
        given = as_given(features, batch.images if self.method.reads_images else None, half=self.half)
        if self.ignore is None:
            return given
        ignored = torch.from_numpy(self.ignore.pixels)
        return given.having(ignored=tuple(on_prepared(ignored, place) for place in given.geometry))

    def blanked(self, image: Tensor, name: str) -> Tensor:
        """An image [3, H, W] with its ignored pixels gray.

        Raises:
            BadImage: it has another size than the ignore mask.
        """
        if self.ignore is None:
            return image
        return blanked(image, torch.from_numpy(self.ignore.of(name, (image.shape[1], image.shape[2]))))

    def _read(self, image: GivenImage) -> _Read | BadImage:
        started = time.perf_counter()
        try:
            pixels = image.pixels(self.white)
            whole = self.blanked(torch.from_numpy(pixels).permute(2, 0, 1), image.name)
        except BadImage as error:
            return error
        ready = prepared(whole, self.method.preprocess)
        return _Read(image, ready, Appearance.of(pixels), time.perf_counter() - started)

    def _scored(self, reads: Sequence[_Read]) -> Iterator[ScoredImage]:
        started = time.perf_counter()
        features = self.features([(f"{place:016x}", read.prepared) for place, read in enumerate(reads)])
        scores = split_scores(*self.method.score(features))
        image_scores = self.method.aggregate(scores).tolist()
        share = (time.perf_counter() - started) / len(reads)
        for read, score, one, geometry in zip(reads, image_scores, scores, features.geometry, strict=True):
            yield ScoredImage(read.image, score, one, geometry, read.appearance, 1000 * (read.seconds + share))


def _size(read: _Read | BadImage) -> object:
    return None if isinstance(read, BadImage) else read.prepared[0].shape
