"""Scores of a stream of test images, and what is counted while they are made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adbench.engine.features.streams import ExtractedStream
from adbench.engine.pictures.embedding import image_vectors
from adbench.engine.plan.protocol import Task
from adbench.engine.plan.twins import repeated
from adbench.engine.run.method import Method, split_scores
from adbench.engine.run.score_spool import ScoreSpool
from adbench.engine.store.lazy_sequence import LazySequence
from adbench.engine.store.predictions import Predictions


def masking(method: Method, task: Task) -> dict[str, float]:
    """How many images were seen whole, as the masker left nothing of them; nothing to say without a masker."""
    if method.masker is None:
        return {}
    counts = {"train": task.train, "test": task.test} if method.masks_bank else {"test": task.test}
    return {
        f"seen_whole_{name}": float(sum(task.aliases[sample.id] in method.seen_whole for sample in samples))
        for name, samples in counts.items()
    }


def repeats(task: Task) -> dict[str, float]:
    """How many training images have the content of another one, where there are any."""
    count = repeated(task.train, task.digests)
    return {"repeated_train": float(count)} if count else {}


def in_order_of(task: Task, blind: Predictions) -> Predictions:
    """Predictions under the ids of the test images and in the order of the task."""
    patches, foreground, places = blind.patches, blind.foreground, places_in(task)
    return replace(
        blind,
        ids=tuple(sample.id for sample in task.test),
        geometry=tuple(blind.geometry[place] for place in places),
        scores=blind.scores[places],
        patches=None if patches is None else LazySequence(places, patches.__getitem__),
        foreground=None if foreground is None else LazySequence(places, foreground.__getitem__),
    )


def places_in(task: Task) -> list[int]:
    """Where each test image stands in the order that components see."""
    places = {sample.id: place for place, sample in enumerate(task.blind_test)}
    return [places[sample.id] for sample in task.test]


def score_stream(method: Method, stream: ExtractedStream, vectors: list[np.ndarray] | None) -> Predictions:
    """Score every image of the stream. A lap of the clock is what the features cost when new, and the scoring.

    Args:
        method: fitted.
        stream: the test images.
        vectors: takes a vector of each image, if there is one.
    """
    said, clock = ScoreSpool(), stream.clock
    clock.add("score", 0.0)
    for features in stream:
        started = clock.now()
        query, found = method.score(features)
        scores = split_scores(query, found)
        scoring = clock.now() - started
        said.add(scores, features.geometry)
        clock.add("score", scoring)
        clock.add("test-extract", stream.spent)
        clock.lap(stream.spent + scoring, len(features))
        if vectors is not None:
            vectors += image_vectors(features)
    return said.predictions(method.aggregate(said).detach().float().cpu().numpy())
