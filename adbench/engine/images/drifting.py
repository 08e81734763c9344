"""Test images as a stream that changes slowly: who arrives when, how much each has changed, and who may be learned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from adbench.api.dataset import Sample
from adbench.engine.images.corruption import ALL, NAMES, STRENGTHS, Corruption, parse_corruptions
from adbench.engine.images.twins import groups_of
from adbench.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np

DRIFT_VERSION = 1
"""Grows when the stream changes: figures of different versions are never compared."""
WINDOWS = 10
"""Windows of a stream. Each shows every test image once, so windows differ in nothing but the change."""
HALVES = (0, 1)
"""The numbers of the two halves of the test images: what one half teaches is judged on the other."""


def parse_drifts(texts: Iterable[str]) -> tuple[Corruption, ...]:
    """The corruptions that streams end with, of ``all``, ``NAME`` (strength 5) or ``NAME:STRENGTH``, each once.

    Raises:
        UnknownName: there is no such corruption.
        UsageError: the strength is not a whole number from 1 to 5.
    """
    words = [word for text in texts for word in (NAMES if text == ALL else (text,))]
    strange = next((word for word in words if word.partition(":")[0] not in NAMES), None)
    if strange is not None:
        raise UnknownName("corruption", strange.partition(":")[0], (ALL, *NAMES), "that grows along a stream")
    return parse_corruptions(f"{word}:{STRENGTHS[-1]}" if word in NAMES else word for word in words)


class Arrival(NamedTuple):
    """An image of the stream.

    Attributes:
        sample: the test image.
        level: how far the corruption has grown, from 0 to the strength at the end.
        window: the number of the window, from 0.
    """

    sample: Sample
    level: float
    window: int


@dataclass(frozen=True)
class DriftStream:
    """The stream of a unit's test images under one corruption that grows evenly from nothing.

    Attributes:
        samples: the test images.
        digests: the content of each, by id.
        drift: the corruption, and its strength at the end.
        seed: of the order, the halves, and what the corruption draws.
    """

    samples: Sequence[Sample]
    digests: Mapping[str, str]
    drift: Corruption
    seed: int

    def windows(self) -> Iterator[list[Arrival]]:
        """The images of each window, in an order that the seed and the contents decide."""
        last = max(1, WINDOWS * len(self.samples) - 1)
        for window in range(WINDOWS):
            first = window * len(self.samples)
            ordered = sorted(self.samples, key=lambda one: (self._hash("order", str(window), one), one.id))
            yield [
                Arrival(sample, self.drift.strength * (first + place) / last, window)
                for place, sample in enumerate(ordered)
            ]

    @cached_property
    def halves(self) -> Mapping[str, int]:
        """The half of each image, by id; images with the same content are in one half."""
        groups = [[self.samples[place] for place in group] for group in groups_of(self.samples, self.digests)]
        groups.sort(key=lambda group: self._hash("half", "", group[0]))
        return {sample.id: number % 2 for number, group in enumerate(groups) for sample in group}

    def digest(self, arrival: Arrival) -> str:
        """A hash of the content of an image of the stream, in hex."""
        return self._hash("image", f"{self.drift}/{arrival.window}/{arrival.level!r}", arrival.sample)

    def changed(self, image: np.ndarray, arrival: Arrival) -> np.ndarray:
        """An image of the stream, changed.

        The direction of a light, a blur or a move is that of the whole stream; noise is new in every image.

        Args:
            image: [H, W, 3] RGB: the test image, uint8 (0 to 255) or float32 (0 to 1).
            arrival: when it arrives.
        """
        from adbench.engine.images.corrupting import at_level

        own = self.digest(arrival) if self.drift.name == "noise" else ""
        seed = hashlib.sha256(f"drift/{DRIFT_VERSION}/{self.drift.name}/{self.seed}/{own}".encode()).digest()[:16]
        return at_level(image, self.drift.name, arrival.level, int.from_bytes(seed, "big"))

    def _hash(self, purpose: str, what: str, sample: Sample) -> str:
        text = f"drift/{DRIFT_VERSION}/{purpose}/{what}/{self.seed}/{self.digests[sample.id]}"
        return hashlib.sha256(text.encode()).hexdigest()
