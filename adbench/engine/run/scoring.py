"""Scores of a stream of images by a fitted method; they lie on disk, so that memory does not grow with the images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
import torch

from adbench.api.features import ImageScores
from adbench.engine.features.feature_batch import FeatureBatch, FeatureCost
from adbench.engine.features.streams import ImageStream
from adbench.engine.pictures.embedding import image_vectors
from adbench.engine.process.clock import Clock
from adbench.engine.run.method import Method, split_scores
from adbench.engine.store.array_file import BOOL, ArrayFile
from adbench.engine.store.predictions import Predictions
from adbench.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.geometry import Geometry


class ScoredStream(NamedTuple):
    """The scores of a stream.

    Attributes:
        predictions: of the images, under their aliases, in the order of the stream.
        reading: what the features cost.
        vectors: a vector of each image, if asked for.
    """

    predictions: Predictions
    reading: FeatureCost
    vectors: list[np.ndarray]


def score_stream(method: Method, stream: ImageStream, clock: Clock, *, vectors: bool = False) -> ScoredStream:
    """Score every image of a stream.

    Args:
        method: fitted.
        stream: the images.
        clock: takes the seconds of the scoring as ``score``, and the time of each image, features included.
        vectors: whether a vector of each image is wanted.
    """
    spool, reading, found = ScoreSpool(), FeatureCost(), list[np.ndarray]()
    clock.add("score", 0.0)
    for batch in stream.batches():
        reading.add(batch)
        _score_batch(method, batch, spool, clock)
        if vectors:
            found += image_vectors(batch.features)
    scores = method.aggregate(spool).detach().float().cpu().numpy()
    return ScoredStream(spool.predictions(scores), reading, found)


def score_into(method: Method, stream: ImageStream, clock: Clock) -> ScoreSpool:
    """The scores of every image of a stream, without the image scores that an aggregator makes of them.

    Args:
        method: fitted.
        stream: the images.
        clock: takes the seconds of the scoring as ``score``.
    """
    spool = ScoreSpool()
    clock.add("score", 0.0)
    for batch in stream.batches():
        _score_batch(method, batch, spool, clock)
    return spool


def _score_batch(method: Method, batch: FeatureBatch, spool: ScoreSpool, clock: Clock) -> None:
    started = clock.now()
    scores = split_scores(*method.score(batch.features))
    seconds = clock.now() - started
    spool.add(scores, batch.features.geometry)
    clock.add("score", seconds)
    clock.lap(batch.seconds + seconds, len(batch.features))


class _Entry(NamedTuple):
    """An image, its own score, and where its arrays are among those on disk."""

    id: str
    image: float | None
    patches: int | None
    vector: int | None
    foreground: int | None
    ignored: int | None
    classes: np.ndarray | None


class ScoreSpool(Sequence[ImageScores]):
    """The scores of all images so far. Its arrays lie on disk, and are deleted with this object."""

    def __init__(self) -> None:
        self._rows: list[_Entry] = []
        self._geometry: list[Geometry] = []
        self._equal_geometry: dict[Geometry, Geometry] = {}
        self._patches, self._vectors = ArrayFile(), ArrayFile()
        self._foreground, self._ignored = ArrayFile(BOOL), ArrayFile(BOOL)

    def add(self, scores: Iterable[ImageScores], geometry: Iterable[Geometry]) -> None:
        """Add the scores of some more images, and the places of their pixels.

        Args:
            scores: one an image; all have a foreground, or none has.
            geometry: one an image.

        Raises:
            StorageError: the disk is full.
        """
        try:
            for one in scores:
                patches, vector = _append(self._patches, one.patches), _append(self._vectors, one.vector)
                masks = _append(self._foreground, one.foreground), _append(self._ignored, one.ignored)
                classes = None if one.classes is None else one.classes.numpy()
                self._rows.append(_Entry(one.id, one.image, patches, vector, *masks, classes))
        except OSError as error:
            raise StorageError(
                f"cannot keep scores in {tempfile.gettempdir()}: {error.strerror or error}; free some space there, or"
                " set TMPDIR to a larger folder"
            ) from None
        self._geometry += (self._equal_geometry.setdefault(one, one) for one in geometry)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> ImageScores: ...
    @overload
    def __getitem__(self, index: slice) -> list[ImageScores]: ...
    def __getitem__(self, index: int | slice) -> ImageScores | list[ImageScores]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        row = self._rows[index]
        patches, vector = _read(self._patches, row.patches), _read(self._vectors, row.vector)
        foreground, ignored = _read(self._foreground, row.foreground), _read(self._ignored, row.ignored)
        size = self._geometry[index].size
        return ImageScores(row.id, patches, row.image, vector, foreground, size, ignored=ignored)

    def predictions(self, scores: np.ndarray) -> Predictions:
        """The predictions, with the score [N] of each image."""
        ids = tuple(row.id for row in self._rows)
        found = [row.classes for row in self._rows if row.classes is not None]
        classes = np.stack(found) if found else None
        arrays = self._patches or None, self._foreground or None
        return Predictions(ids, tuple(self._geometry), scores, *arrays, classes=classes)


def _append(arrays: ArrayFile, tensor: Tensor | None) -> int | None:
    """Put an array on disk; returns its place."""
    if tensor is None:
        return None
    arrays.append(tensor.numpy())
    return len(arrays) - 1


def _read(arrays: ArrayFile, place: int | None) -> Tensor | None:
    return None if place is None else torch.from_numpy(arrays[place])
