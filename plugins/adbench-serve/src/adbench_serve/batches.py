"""Batches of the images that arrive together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from adbench import Detector

Outcome: TypeAlias = Any
"""A prediction of `Detector`, or the `BadImage` that says why there is none."""


class _Waiting(NamedTuple):
    image: Path
    outcome: asyncio.Future[Outcome]


class Batches:
    """Scores what arrives while a batch is computed as the next batch; an image that comes alone never waits.

    Args:
        detector: what scores.
        thread: of computing; one for all detectors, since they share the processor.
        measure: called with the size of each batch.
    """

    def __init__(self, detector: Detector, thread: Executor, measure: Callable[[int], None]) -> None:
        self.detector, self._thread, self._measure = detector, thread, measure
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None

    async def score(self, images: Sequence[Path]) -> list[Outcome]:
        """A prediction for each image, in order, or the reason why there is none."""
        loop = asyncio.get_running_loop()
        asked = [_Waiting(image, loop.create_future()) for image in images]
        self._waiting.extend(asked)
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._score_all())
        return list(await asyncio.gather(*(one.outcome for one in asked)))

    async def _score_all(self) -> None:
        while batch := self._next():
            self._measure(len(batch))
            try:
                images = [one.image for one in batch]
                outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, self._outcomes, images)
            except Exception as error:  # noqa: BLE001  each request of the batch tells it
                for one in batch:
                    if not one.outcome.done():
                        one.outcome.set_exception(error)
            else:
                for one, outcome in zip(batch, outcomes, strict=True):
                    if not one.outcome.done():
                        one.outcome.set_result(outcome)

    def _next(self) -> list[_Waiting]:
        """The next images, without those that nobody waits for any more."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self.detector.settings.batch_size:
            one = self._waiting.popleft()
            if not one.outcome.done():
                batch.append(one)
        return batch

    def _outcomes(self, images: list[Path]) -> list[Outcome]:
        return list(self.detector.outcomes(images))
