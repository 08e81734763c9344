"""The distinct scores of positives from the highest down, and how many normals lie between: the stuff of all curves.

Pixels are never held together. One walk over the maps collects the highest positive scores, as many as fit (a slice);
the next counts the normals at those and collects the positives below them; and so on. Where all fit, two walks do.

Scores are ranked as integers, *keys*, that ascend as scores fall: numpy sorts, packs and searches those fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from adbench.errors import ContractError

if TYPE_CHECKING:
    from adbench.api.metric import MaskedMap

HELD_POSITIVES = 1 << 20
"""Positive pixels held at once, at about 60 bytes each."""
HELD_NORMALS = 1 << 22
"""Normal pixels held at once, at 4 bytes each."""
_KEY = np.uint64(32)
"""Bits that a key is shifted by, to make room for the size of a region."""


class Pixels:
    """Walks over the maps, which check what they yield and that all walks are alike."""

    def __init__(self, maps: Callable[[], Iterator[MaskedMap]]) -> None:
        self._maps = maps
        self._first: tuple[int, int, int] | None = None

    def walk(self) -> Iterator[MaskedMap]:
        """Keys [H, W] and mask [H, W] of each image."""
        positives, pixels, checksum = 0, 0, 0
        for image, (anomaly_map, truth) in enumerate(self._maps()):
            scores, mask = np.asarray(anomaly_map, dtype=np.float32), np.asarray(truth, dtype=bool)
            _check(scores, mask, image)
            keys = keys_of(scores)
            yield keys, mask
            positives += int(np.count_nonzero(mask))
            pixels += mask.size
            checksum += int(keys.sum(dtype=np.uint64))
        seen = positives, pixels, checksum
        if self._first not in {None, seen}:
            raise ContractError("evidence", "every walk over the maps is the same; one differs from the first")
        self._first = seen

    def counts(self) -> tuple[int, int]:
        """Anomalous and normal pixels; known after a walk."""
        positives, pixels, _ = self._first or (0, 0, 0)
        return positives, pixels - positives


def _check(scores: np.ndarray, mask: np.ndarray, image: int) -> None:
    if scores.ndim != 2 or scores.shape != mask.shape:
        problem = f"that of image {image} has shape {scores.shape}, its mask {mask.shape}"
        raise ContractError("evidence", f"maps are as large as their masks; {problem}")
    if not np.isfinite(scores).all():
        raise ContractError("evidence", f"maps are finite; that of image {image} holds NaN or infinity")


def keys_of(scores: np.ndarray) -> np.ndarray:
    """uint32 keys that ascend as float32 scores fall; both zeros have the same."""
    return _turned((scores + np.float32(0)).view(np.uint32))


def _turned(bits: np.ndarray) -> np.ndarray:
    """From the bits of a float32 to its key, and back: among non-negative numbers the order is turned."""
    key: np.ndarray = bits ^ ((bits >> 31) - 1 & 0x7FFFFFFF)
    return key


def score_of(key: np.uint32) -> float:
    """The score that a key stands for."""
    return float(_turned(np.array([key])).view(np.float32)[0])


def _region_sizes(mask: np.ndarray) -> np.ndarray:
    """[P] the size of its region, for each anomalous pixel in row order."""
    from scipy import ndimage

    regions = ndimage.label(mask, structure=np.ones((3, 3)))[0][mask]
    sizes: np.ndarray = np.bincount(regions)[regions]
    return sizes


class Ladder(NamedTuple):
    """Ascending, distinct keys of positives; for each the number of positives, and the sum of 1 / region size."""

    keys: np.ndarray
    counts: np.ndarray
    weights: np.ndarray


class Slice:
    """The lowest keys of positives from `start` on, as many as fit.

    A positive is held as one uint64, key before region size. When too many are held, the highest quarter goes. What has
    the last key of the slice is only added up, so that memory is bounded however many scores are equal.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self._last = 1 << 32
        self._last_count, self._last_weight = 0, 0.0
        self._held: list[np.ndarray] = []
        self._size = 0

    def add(self, keys: np.ndarray, mask: np.ndarray) -> None:
        positives = keys[mask]
        inside = (positives >= self.start) & (positives <= self._last)
        if not inside.any():
            return
        positives, sizes = positives[inside], _region_sizes(mask)[inside]
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
        """All that is held, which is let go."""
        packed = np.concatenate(self._held)
        self._held = []
        packed.sort()
        return packed

    def ladder(self) -> Ladder:
        """All positives from `start` up to the last key. The slice is empty afterwards."""
        packed = self._sorted()
        keys, sizes = (packed >> _KEY).astype(np.uint32), packed.astype(np.uint32)
        first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        ladder = Ladder(keys[first], np.diff(first, append=len(keys)), np.add.reduceat(1 / sizes, first))
        if not self._last_count:
            return ladder
        last = np.uint32(self._last), self._last_count, self._last_weight
        return Ladder(*(np.append(column, value) for column, value in zip(ladder, last, strict=True)))


def _packed(keys: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    packed: np.ndarray = keys.astype(np.uint64) << _KEY | sizes.astype(np.uint64)
    return packed


class Normals:
    """How many normals have lower keys than each rung of a ladder, and how many the same; from key `start` on.

    Args:
        rungs: [K] uint32, ascending and distinct.
        start: lower keys were counted before.
    """

    def __init__(self, rungs: np.ndarray, start: int = 0) -> None:
        self._rungs, self._start = rungs, start
        self._lower = np.zeros(len(rungs), dtype=np.int64)
        self._same = np.zeros(len(rungs), dtype=np.int64)
        self._held = np.empty(HELD_NORMALS, dtype=np.uint32)
        self._size = 0

    def add(self, keys: np.ndarray) -> None:
        keys = keys[(keys >= self._start) & (keys <= self._rungs[-1])]
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
        lower = keys.searchsorted(self._rungs)
        self._lower += lower
        # ties are few: only they are searched for again
        ties = np.flatnonzero(keys[np.minimum(lower, keys.size - 1)] == self._rungs)
        self._same[ties] += keys.searchsorted(self._rungs[ties], side="right") - lower[ties]
        self._size = 0

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """[K] lower and [K] the same, of all normals that were added."""
        if self._size:
            self._count()
        return self._lower, self._same
