"""Scores of a stream of images by a fitted method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from adbench.engine.features.feature_batch import FeatureBatch, FeatureCost
from adbench.engine.features.streams import ImageStream
from adbench.engine.pictures.embedding import image_vectors
from adbench.engine.process.clock import Clock
from adbench.engine.run.method import Method, split_scores
from adbench.engine.run.score_spool import ScoreSpool
from adbench.engine.store.predictions import Predictions


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


def _score_batch(method: Method, batch: FeatureBatch, spool: ScoreSpool, clock: Clock) -> None:
    started = clock.now()
    scores = split_scores(*method.score(batch.features))
    seconds = clock.now() - started
    spool.add(scores, batch.features.geometry)
    clock.add("score", seconds)
    clock.lap(batch.seconds + seconds, len(batch.features))
