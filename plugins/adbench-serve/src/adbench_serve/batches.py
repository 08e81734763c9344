"""Batches of the images that arrive together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from adbench import Detector

Outcome: TypeAlias = Any
"""A prediction of `Detector`, or the `BadImage` that says why there is none."""


class _Waiting(NamedTuple):
    image: Path
    outcome: asyncio.Future[Outcome]


class _Reading(NamedTuple):
    waiting: _Waiting
    read: Callable[[], Any]


class Batches:
    """Scores what arrives while a batch is computed as the next batch; an image that comes alone never waits.

    The images of the next batch are read while one is computed, and no more: read images take memory.

    Args:
        detector: what scores.
        thread: of computing; one for all detectors, since they share the processor.
        measure: called with the size of each batch.
    """

    def __init__(self, detector: Detector, thread: Executor, measure: Callable[[int], None]) -> None:
        import torch

        self.detector, self._thread, self._measure = detector, thread, measure
        self._waiting: deque[_Waiting] = deque()
        self._reading: deque[_Reading] = deque()
        self._started = False  # whether a batch was scored
        self._work: asyncio.Task[None] | None = None
        self._readers = ThreadPoolExecutor(
            detector.settings.workers, "reads", initializer=torch.set_num_threads, initargs=(1,)
        )

    async def score(self, images: Sequence[Path]) -> list[Outcome]:
        """A prediction for each image, in order, or the reason why there is none."""
        loop = asyncio.get_running_loop()
        asked = [_Waiting(image, loop.create_future()) for image in images]
        self._waiting.extend(asked)
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._score_all())
        else:
            self._read_ahead()
        return list(await asyncio.gather(*(one.outcome for one in asked)))

    async def _score_all(self) -> None:
        while batch := self._next():
            self._measure(len(batch))
            try:
                reads = [one.read for one in batch]
                outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, self._outcomes, reads)
            except Exception as error:  # noqa: BLE001  each request of the batch tells it
                for one, _ in batch:
                    if not one.outcome.done():
                        one.outcome.set_exception(error)
            else:
                self._started = True
                for (one, _), outcome in zip(batch, outcomes, strict=True):
                    if not one.outcome.done():
                        one.outcome.set_result(outcome)

    def _next(self) -> list[_Reading]:
        """The next images, without those that nobody waits for any more; reads those behind them meanwhile."""
        self._read_ahead()
        batch: list[_Reading] = []
        while self._reading and len(batch) < self.detector.settings.batch_size:
            one = self._reading.popleft()
            if not one.waiting.outcome.done():
                batch.append(one)
            self._read_ahead()
        return batch

    def _read_ahead(self) -> None:
        """Let threads read as many images as a batch has; until one is scored, the thread of computing reads itself.

        What readers import must be there before they start: two threads that import the same package at once can wait
        for each other for ever (https://github.com/python/cpython/issues/83065).
        """
        while self._waiting and len(self._reading) < self.detector.settings.batch_size:
            one = self._waiting.popleft()
            read = partial(self.detector.read, one.image)
            self._reading.append(_Reading(one, self._readers.submit(read).result if self._started else read))

    def _outcomes(self, reads: list[Callable[[], Any]]) -> list[Outcome]:
        return list(self.detector.outcomes_of(read() for read in reads))
