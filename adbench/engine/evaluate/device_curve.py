"""The curve of the maps' pixels where torch computes it: on a GPU, whose memory holds more and which sorts at once.

The same two walks and the same figures as `adbench.api.curves.curve`. Keys are negated scores here, and the second
walk counts pixels of both kinds: those of the ladder itself are known and subtracted, so that it needs no truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from adbench.api.curves.curve import Curve
from adbench.api.curves.curve_builder import Arrays, CurveBuilder
from adbench.api.curves.threshold_table import ThresholdTable
from adbench.api.curves.truth import Truth
from adbench.errors import ContractError

JudgedMaps: TypeAlias = tuple[Tensor, Sequence[Truth]]
"""Maps [B, H, W] float32 on the device, and the truth about each."""

HELD_POSITIVES = 1 << 25
"""Rungs and defective pixels held on the device at once, at about 60 bytes each while they are sorted."""
HELD_PIXELS = 1 << 26
"""Pixels held on the device at once, at about 30 bytes each while they are sorted."""
BLOCK = 1 << 22
"""Rungs that become points at once."""
_ROW = 1 << 12


def curve_on_device(batches: Callable[[], Iterator[JudgedMaps]], device: str) -> Curve:
    """The curve of the pixels of all maps, exactly.

    Args:
        batches: starts a walk over the images, as `curve_of_judged` takes them, but in batches on the device.
        device: torch's name of it.

    Raises:
        ContractError: a map has another shape than its mask or holds a value that is not finite.
    """
    ahead, positives, pixels = _Slice(), 0, 0
    for maps, truths in batches():
        _check(maps, truths)
        ahead.add(maps, truths)
        positives += sum(len(truth.positions) for truth in truths)
        pixels += maps.numel()
    trace = CurveBuilder(_arrays(device), positives, pixels - positives)
    while not trace.finished:
        ahead = _next_slice(ahead, batches, trace)
    return Curve.of("pixel", trace)


def _next_slice(here: _Slice, batches: Callable[[], Iterator[JudgedMaps]], trace: CurveBuilder) -> _Slice:
    """Take the trace down one slice, with one walk that also collects the slice below, if there is one."""
    ladder = here.ladder()
    crowd, ahead = _Crowd(ladder, here.start), _Slice(float(ladder.keys[-1]))
    more = trace.true + int(ladder.counts.sum()) < trace.positives
    for maps, truths in batches():
        crowd.add(maps)
        if more:
            ahead.add(maps, truths)
    trace.descend(ladder, *crowd.normals())
    return ahead


def _arrays(device: str) -> Arrays:
    return Arrays(
        library=torch,
        running=running,
        column=lambda column: torch.from_numpy(column).to(device),
        host=lambda column: column.cpu().numpy(),
        score=lambda key: -float(key),
        block=BLOCK,
    )


def running(column: Tensor) -> Tensor:
    """The sums up to each element. Along one long row CUDA adds in another order each time, along short ones not."""
    rows = pad(column, (0, max(2 * _ROW, -(-len(column) // _ROW) * _ROW) - len(column))).reshape(-1, _ROW).cumsum(1)
    if len(column) > _ROW:
        rows[1:].add_(running(rows[:-1, -1].contiguous())[:, None])
    return rows.ravel()[: len(column)]


def _check(maps: Tensor, truths: Sequence[Truth]) -> None:
    shape = tuple(maps.shape[1:])
    wrong = {truth.shape for truth in truths} - {shape}
    if wrong or len(truths) != len(maps):
        raise ContractError("evidence", f"maps are as large as their masks; {len(maps)} of {shape}, masks of {wrong}")
    if not torch.isfinite(maps.sum(dtype=torch.float64)):
        raise ContractError("evidence", "maps are finite; one holds NaN or infinity")


def _keys(scores: Tensor) -> Tensor:
    """Float32 that ascend as scores fall; both zeros have the same."""
    return (0 - scores).ravel()


def _columns(truths: Sequence[Truth], device: torch.device) -> tuple[Tensor, Tensor]:
    """[P] positions in a batch of maps, and [P] the size of the region there; they travel as 32 bits each."""
    counts = torch.tensor([len(truth.positions) for truth in truths])
    starts = torch.tensor([index * int(np.prod(truth.shape)) for index, truth in enumerate(truths)])
    columns = ([truth.positions for truth in truths], [truth.sizes for truth in truths])
    positions, sizes = (torch.from_numpy(np.concatenate(column)).to(device) for column in columns)
    return positions + starts.to(device).repeat_interleave(counts.to(device), output_size=len(positions)), sizes


class _Slice:
    """The lowest keys of positives above `start`, as many as fit; see `adbench.api.curves.threshold_table.Slice`."""

    def __init__(self, start: float = -np.inf) -> None:
        self.start, self._last = start, np.inf
        self._held: list[ThresholdTable] = []

    def add(self, maps: Tensor, truths: Sequence[Truth]) -> None:
        """Take what belongs to the slice."""
        positions, sizes = _columns(truths, maps.device)
        keys, weights = _keys(maps.ravel()[positions]), 1 / sizes.double()
        inside = (keys > self.start) & (keys <= self._last)
        keys, weights = keys[inside], weights[inside]
        self._held.append(ThresholdTable(keys, torch.ones_like(weights), weights))
        if sum(len(part.keys) for part in self._held) > HELD_POSITIVES:
            self._shrink()

    def _shrink(self) -> None:
        """Let go of the highest keys. What is equal is added up already, so that nothing of a kept key is lost."""
        kept = ThresholdTable(*(column[: HELD_POSITIVES - HELD_POSITIVES // 4].clone() for column in self.ladder()))
        self._held, self._last = [kept], float(kept.keys[-1])

    def ladder(self) -> ThresholdTable:
        """All positives above `start` up to the last key. The slice is empty afterwards."""
        keys, counts, weights = (torch.cat(columns) for columns in zip(*self._held, strict=True))
        self._held = []
        keys, order = keys.sort()
        ends = torch.cat([keys[1:] != keys[:-1], torch.ones_like(keys[:1], dtype=torch.bool)]).nonzero().ravel()
        counts, weights = (running(column[order])[ends] for column in (counts, weights))
        return ThresholdTable(
            keys[ends], *(column.diff(prepend=torch.zeros_like(column[:1])) for column in (counts, weights))
        )


class _Crowd:
    """How many pixels have lower keys than each rung of a ladder, and how many the same; from above key `start` on."""

    def __init__(self, ladder: ThresholdTable, start: float) -> None:
        self._ladder, self._start = ladder, torch.full_like(ladder.keys[:1], start)
        self._lower, self._same = torch.zeros_like(ladder.counts), torch.zeros_like(ladder.counts)
        self._held = torch.empty(HELD_PIXELS, dtype=torch.float32, device=ladder.keys.device)
        self._size = 0

    def add(self, maps: Tensor) -> None:
        """Count the pixels of maps."""
        for keys in torch.split(_keys(maps), HELD_PIXELS):
            if self._size + len(keys) > HELD_PIXELS:
                self._count()
            self._held[self._size : self._size + len(keys)] = keys
            self._size += len(keys)

    def _count(self) -> None:
        keys, rungs = self._held[: self._size].sort().values, self._ladder.keys
        lower = torch.searchsorted(keys, rungs)
        self._same += torch.searchsorted(keys, rungs, right=True) - lower
        self._lower += lower - torch.searchsorted(keys, self._start, right=True)
        self._size = 0

    def normals(self) -> tuple[Tensor, Tensor]:
        """[K] lower and [K] the same, float64, of all pixels that were added less the positives of the ladder."""
        self._count()
        counts = self._ladder.counts
        return self._lower - (running(counts) - counts), self._same - counts
