"""The table of thresholds: distinct scores of positives from the highest down, and the normals between them.

Memory never holds all pixels. One pass over the maps collects the highest positive scores that fit (a slice); the next
counts the normals at these and collects the positives below them; and so on. If all positives fit, two passes suffice.

Scores are ranked as integers, *keys*, that ascend as scores fall: numpy sorts, packs and searches these fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from adbench.api.curves.truth import Truth
from adbench.errors import ContractError

AnnotatedMap: TypeAlias = tuple[np.ndarray, Truth]
"""An anomaly map [H, W] and its truth."""

HELD_POSITIVES = 1 << 20
"""Number of positive pixels in memory, at about 60 bytes each."""
HELD_NORMALS = 1 << 22
"""Number of normal pixels in memory, at 4 bytes each."""
_KEY = np.uint64(32)
"""Bits that a key is shifted by, to make room for the size of a region."""
_NO_KEY = np.uint32(0xFFFFFFFF)
"""A number above every key."""


class Pixels:
    """Passes over the maps, which check the maps and that all passes are the same."""

    def __init__(self, maps: Callable[[], Iterator[AnnotatedMap]]) -> None:
        self._maps = maps
        self._first: tuple[int, int, float] | None = None

    def walk(self) -> Iterator[AnnotatedMap]:
        """Scores [H, W] float32 and truth of each image."""
        positives, normals, checksum = 0, 0, 0.0
        for image, (anomaly_map, truth) in enumerate(self._maps()):
            scores = np.asarray(anomaly_map, dtype=np.float32)
            total = _checked_sum(scores, truth, image)
            yield scores, truth
            positives += truth.positions.size
            normals += scores.size - truth.marked.size
            checksum += total
        seen = positives, normals, checksum
        if self._first not in {None, seen}:
            raise ContractError("evidence", "every walk over the maps is the same; one differs from the first")
        self._first = seen

    def counts(self) -> tuple[int, int]:
        """Anomalous and normal pixels; known after a walk."""
        positives, normals, _ = self._first or (0, 0, 0)
        return positives, normals


def _checked_sum(scores: np.ndarray, truth: Truth, image: int) -> float:
    """The sum of the scores of a map, which finds scores that are not finite.

    Raises:
        ContractError: a score is not finite, or the shapes differ.
    """
    if scores.ndim != 2 or scores.shape != truth.shape:
        problem = f"that of image {image} has shape {scores.shape}, its mask {truth.shape}"
        raise ContractError("evidence", f"maps are as large as their masks; {problem}")
    total = float(scores.sum(dtype=np.float64))
    if not np.isfinite(total):
        raise ContractError("evidence", f"maps are finite; that of image {image} holds NaN or infinity")
    return total


def keys_of(scores: np.ndarray) -> np.ndarray:
    """The keys of scores: uint32 that ascend as float32 scores fall; both zeros have the same key."""
    return _turned((scores + np.float32(0)).view(np.uint32))


def _turned(bits: np.ndarray) -> np.ndarray:
    """The key of the bits of a float32, and back: the order of non-negative numbers is reversed."""
    key: np.ndarray = bits ^ ((bits >> 31) - 1 & 0x7FFFFFFF)
    return key


def score_of(key: np.uint32) -> float:
    """The score of a key."""
    return float(_turned(np.array([key])).view(np.float32)[0])


class ThresholdTable(NamedTuple):
    """A table of ascending, distinct keys of positives; with counts and sums of 1 / region size (float64).

    Columns are NumPy arrays, or torch tensors on a GPU.
    """

    keys: Any
    counts: Any
    weights: Any


class Slice:
    """A slice: the lowest keys of positives from `start` on, as many as fit.

    A positive is one uint64, key before region size. If there are too many, the highest quarter is dropped. Positives
    with the last key of the slice are only summed, so memory is bounded for any number of equal scores.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self._last = 1 << 32
        self._last_count, self._last_weight = 0, 0.0
        self._held: list[np.ndarray] = []
        self._size = 0

    def add(self, scores: np.ndarray, truth: Truth) -> None:
        """Add the positives of a map [H, W] that belong to the slice."""
        positives = keys_of(scores.ravel()[truth.positions])
        inside = (positives >= self.start) & (positives <= self._last)
        if not inside.any():
            return
        positives, sizes = positives[inside], truth.sizes[inside]
        last = positives == self._last
        self._add_to_last(sizes[last])
        self._held.append(_packed(positives[~last], sizes[~last]))
        self._size += len(self._held[-1])
        if self._size > HELD_POSITIVES:
            self._shrink()

    def _add_to_last(self, sizes: np.ndarray) -> None:
        self._last_count += len(sizes)
        self._last_weight += float((1 / sizes).sum())

    def _shrink(self) -> None:
        packed = self._sorted()
        self._last = int(packed[HELD_POSITIVES - HELD_POSITIVES // 4] >> _KEY)
        below, upto = packed.searchsorted(_packed(np.array([self._last, self._last + 1]), np.zeros(2)))
        self._held, self._size = [packed[:below].copy()], int(below)
        self._last_count, self._last_weight = 0, 0.0
        self._add_to_last(packed[below:upto].astype(np.uint32))

    def _sorted(self) -> np.ndarray:
        """The sorted positives, which the slice no longer holds afterwards."""
        packed = np.concatenate(self._held)
        self._held = []
        packed.sort()
        return packed

    def table(self) -> ThresholdTable:
        """All positives from `start` up to the last key. The slice is empty afterwards."""
        packed = self._sorted()
        keys, sizes = (packed >> _KEY).astype(np.uint32), packed.astype(np.uint32)
        first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        counts = np.diff(first, append=len(keys)).astype(np.float64)
        table = ThresholdTable(keys[first], counts, np.add.reduceat(1 / sizes, first))
        if not self._last_count:
            return table
        last = np.uint32(self._last), self._last_count, self._last_weight
        return ThresholdTable(*(np.append(column, value) for column, value in zip(table, last, strict=True)))


def _packed(keys: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    packed: np.ndarray = keys.astype(np.uint64) << _KEY | sizes.astype(np.uint64)
    return packed


class Normals:
    """Counts of the normals with a lower key, and with an equal key, for each threshold, from key `start` on.

    Args:
        thresholds: [K] uint32, ascending and distinct.
        start: lower keys were counted before.
    """

    def __init__(self, thresholds: np.ndarray, start: int = 0) -> None:
        self._thresholds, self._start = thresholds, start
        self._lower = np.zeros(len(thresholds), dtype=np.float64)
        self._same = np.zeros(len(thresholds), dtype=np.float64)
        self._held = np.empty(HELD_NORMALS, dtype=np.uint32)
        self._size = 0

    def add(self, scores: np.ndarray, truth: Truth) -> None:
        """Count the normals of a map [H, W]."""
        keys = keys_of(scores).ravel()
        keys[truth.marked] = _NO_KEY
        self.add_keys(keys)

    def add_keys(self, keys: np.ndarray) -> None:
        """Count normals [N]."""
        keys = keys[(keys >= self._start) & (keys <= self._thresholds[-1])]
        while keys.size:
            room = self._held[self._size :]
            now, keys = keys[: room.size], keys[room.size :]
            room[: now.size] = now
            self._size += now.size
            if self._size == HELD_NORMALS:
                self._count()

    def _count(self) -> None:
        keys = self._held[: self._size]
        keys.sort()
        lower = keys.searchsorted(self._thresholds)
        self._lower += lower
        # ties are few: only they are searched for again
        ties = np.flatnonzero(keys[np.minimum(lower, keys.size - 1)] == self._thresholds)
        self._same[ties] += keys.searchsorted(self._thresholds[ties], side="right") - lower[ties]
        self._size = 0

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """[K] lower and [K] equal, float64: counts of all added normals."""
        if self._size:
            self._count()
        return self._lower, self._same
