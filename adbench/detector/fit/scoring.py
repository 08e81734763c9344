"""Scores of images that come one after the other: in batches, in constant memory, and in their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from adbench.api.bank import VectorBank
from adbench.api.features import Features, ImageScores
from adbench.api.geometry import Geometry
from adbench.api.networks.threads import one_thread
from adbench.datasets import IgnoreMask
from adbench.detector.fit.appearance import Appearance
from adbench.detector.fit.images import GivenImage
from adbench.engine.features.feature_batch import as_given, rounded
from adbench.engine.features.ignoring import blanked, with_ignored
from adbench.engine.features.image_loader import Prepared, batch_of, grouped, prepared
from adbench.engine.features.read_ahead import done_behind, read_ahead
from adbench.engine.features.tiles import ImageReading, tiling_of
from adbench.engine.plan.settings import Settings
from adbench.engine.run.method import Method, split_scores
from adbench.errors import BadImage, DataError


class ScoredImage(NamedTuple):
    """An image and its scores.

    Attributes:
        image: the image.
        score: the image score.
        scores: the scores of its patches, or of the image, by the scorer.
        geometry: where the prepared image lies in the original.
        appearance: what the image looks like.
        ignored: [H, W] bool, pixels that nobody looks at, or None.
        milliseconds: its share of the batch's time, reading included.
    """

    image: GivenImage
    score: float
    scores: ImageScores
    geometry: Geometry
    appearance: Appearance
    ignored: np.ndarray | None
    milliseconds: float


class ReadImage(NamedTuple):
    """An image that is read and prepared, and not scored yet.

    Attributes:
        image: the image.
        prepared: what the method sees of it.
        appearance: what the image looks like.
        ignored: [H, W] bool, pixels that nobody looks at, or None.
        seconds: that reading took.
    """

    image: GivenImage
    prepared: Prepared
    appearance: Appearance
    ignored: np.ndarray | None
    seconds: float


Outcome: TypeAlias = ScoredImage | BadImage
"""The scores of an image, or why there are none."""


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

    def score(self, image: GivenImage) -> Outcome:
        """The scores of one image, or the error with which it cannot be read."""
        with one_thread():
            read = self.read(image)
        if isinstance(read, BadImage):
            return read
        finish = self._begun([read])
        with one_thread() if self._is_small else nullcontext():
            return finish()[0]

    def scores(self, images: Iterable[GivenImage]) -> Iterator[Outcome]:
        """The scores of each image, or the error with which it cannot be read; in order."""
        yield from self.scores_of(read_ahead(self.read, images, self.settings.workers, 2 * self.reading.images))

    def scores_of(self, readings: Iterable[ReadImage | BadImage]) -> Iterator[Outcome]:
        """As `scores`, of images that `read` has read."""
        works = map(self._begun, grouped(readings, _size, self.reading.images))
        yield from chain.from_iterable(done_behind(works) if self._is_small else (work() for work in works))

    @property
    def _is_small(self) -> bool:
        """Whether what follows the backbone is little work beside it, but for a search, which shares itself."""
        return self.settings.device == "cpu" and isinstance(self.method.bank, VectorBank)

    def features(self, reads: Sequence[tuple[str, Prepared]], ignored: Sequence[np.ndarray | None]) -> Features:
        """The features of prepared images.

        Args:
            reads: the images, each with its name.
            ignored: of each, [H, W] bool on the original image: pixels that nobody looks at; None for none.
        """
        batch = batch_of(reads)
        features = self.reading.features(self.method.backbone, batch)
        features = rounded(self.method.backbone, features) if self.half else features
        given = as_given(features, batch.images if self.method.reads_images else None, half=self.half)
        return with_ignored(given, [partial(_tensor, one) for one in ignored], None)

    def shown(self, image: GivenImage, pixels: np.ndarray) -> tuple[Tensor, np.ndarray | None]:
        """An image as the method sees it, [3, H, W] with its ignored pixels gray, and these: [H, W] bool or None.

        Args:
            image: the image, beside whose file a mask of its own may lie.
            pixels: [H, W, 3].

        Raises:
            BadImage: it has another size than the ignore mask, or its own mask cannot be used.
        """
        mask, whole = image.ignored(self.ignore), torch.from_numpy(pixels).permute(2, 0, 1)
        if mask is None:
            return whole, None
        ignored = mask.of(image.name, (whole.shape[1], whole.shape[2]))
        return blanked(whole, torch.from_numpy(ignored)), ignored

    def read(self, image: GivenImage) -> ReadImage | BadImage:
        """An image that is read and prepared, or the error with which it cannot be read; in any thread."""
        started = time.perf_counter()
        try:
            pixels = image.pixels(self.white)
            whole, ignored = self.shown(image, pixels)
            ready = prepared(whole, self.method.preprocess)
        except DataError as error:
            return _unfit(image, error)
        return ReadImage(image, ready, Appearance.of(pixels), ignored, time.perf_counter() - started)

    def _begun(self, group: Sequence[ReadImage | BadImage]) -> Callable[[], Sequence[Outcome]]:
        """Compute the features of images of one size; what is returned scores them."""
        started = time.perf_counter()
        reads = [read for read in group if isinstance(read, ReadImage)]
        if not reads:
            return lambda: [bad for bad in group if isinstance(bad, BadImage)]
        named = [(f"{place:016x}", read.prepared) for place, read in enumerate(reads)]
        try:
            features = self.features(named, [read.ignored for read in reads])
        except DataError as error:
            return partial(self._unfit_among, reads, error)
        return partial(self._finished, reads, features, time.perf_counter() - started)

    def _finished(self, reads: Sequence[ReadImage], features: Features, spent: float) -> Sequence[Outcome]:
        try:
            return self._scored(reads, features, spent)
        except DataError as error:
            return self._unfit_among(reads, error)

    def _unfit_among(self, reads: Sequence[ReadImage], error: DataError) -> Sequence[Outcome]:
        """The outcome of each image alone, where one of them is not for this method: the others go on."""
        if len(reads) == 1:
            return [_unfit(reads[0].image, error)]
        return [outcome for read in reads for outcome in self._begun([read])()]

    def _scored(self, reads: Sequence[ReadImage], features: Features, spent: float) -> list[ScoredImage]:
        """The images with their scores; computing the features took so many seconds."""
        started = time.perf_counter()
        scores = split_scores(*self.method.score(features))
        image_scores = self.method.aggregate(scores).tolist()
        share = (spent + time.perf_counter() - started) / len(reads)
        return [
            ScoredImage(read.image, score, one, geometry, read.appearance, read.ignored, 1000 * (read.seconds + share))
            for read, score, one, geometry in zip(reads, image_scores, scores, features.geometry, strict=True)
        ]


def _unfit(image: GivenImage, error: DataError) -> BadImage:
    """The reason why an image has no score; what a part says of its size names no file."""
    if isinstance(error, BadImage):
        return error
    problem, _, advice = str(error).rpartition("; ")
    return BadImage(image.name, problem, advice) if problem else BadImage(image.name, advice, "give another image")


def _tensor(ignored: np.ndarray | None) -> Tensor | None:
    return None if ignored is None else torch.from_numpy(ignored)


def _size(read: ReadImage | BadImage) -> object:
    return None if isinstance(read, BadImage) else read.prepared[0].shape
