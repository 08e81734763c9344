"""The curve of the maps' pixels, computed by torch on a GPU, which holds more in memory and sorts faster.

It makes the same two passes and gives the same figures as `adbench.api.curves.curve`. Keys are negated scores here. The
second pass counts pixels of both kinds and subtracts the known positives of the threshold table, so it needs no truth.
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

AnnotatedMaps: TypeAlias = tuple[Tensor, Sequence[Truth]]
"""Maps [B, H, W] float32 on the device, and the truth of each."""

HELD_POSITIVES = 1 << 25
"""Thresholds and defective pixels on the device at once, at about 60 bytes each while they are sorted."""
HELD_PIXELS = 1 << 26
"""Pixels on the device at once, at about 30 bytes each while they are sorted."""
BLOCK = 1 << 22
"""Thresholds that become points in one block."""
_ROW = 1 << 12


def curve_on_device(batches: Callable[[], Iterator[AnnotatedMaps]], device: str) -> Curve:
    """The curve of the pixels of all maps, exactly.

    Args:
        batches: returns an iterator over the images, as for `curve_of_annotated`, but in batches on the device.
        device: torch's name of it.

    Raises:
        ContractError: a map has another shape than its mask or holds a value that is not finite.
    """
    upcoming, positives, pixels = _Slice(), 0, 0
    for maps, truths in batches():
        _check(maps, truths)
        upcoming.add(maps, truths)
        positives += sum(len(truth.positions) for truth in truths)
        pixels += maps.numel() - sum(len(truth.ignored) for truth in truths)
    builder = CurveBuilder(_arrays(device), positives, pixels - positives)
    while not builder.finished:
        upcoming = _next_slice(upcoming, batches, builder)
    return Curve.of("pixel", builder)


def _next_slice(here: _Slice, batches: Callable[[], Iterator[AnnotatedMaps]], builder: CurveBuilder) -> _Slice:
    """Extend the curve by one slice, in one pass that also collects the next slice, if there is one."""
    table = here.table()
    counts, upcoming = _PixelCounts(table, here.start), _Slice(float(table.keys[-1]))
    more = builder.true + int(table.counts.sum()) < builder.positives
    for maps, truths in batches():
        counts.add(_without_ignored(maps, truths))
        if more:
            upcoming.add(maps, truths)
    builder.descend(table, *counts.normals())
    return upcoming


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
    """The cumulative sums of a column, reproducible: CUDA adds a long row in a varying order, but not short rows."""
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


def _without_ignored(maps: Tensor, truths: Sequence[Truth]) -> Tensor:
    """Maps whose ignored pixels have a score below all thresholds."""
    if not any(truth.ignored.size for truth in truths):
        return maps
    found = maps.clone()
    for one, truth in zip(found, truths, strict=True):
        one.ravel()[torch.from_numpy(truth.ignored).to(maps.device).long()] = -torch.inf
    return found


def _keys(scores: Tensor) -> Tensor:
    """Keys in float32 that ascend as scores fall; both zeros have the same key."""
    return (0 - scores).ravel()


def _columns(truths: Sequence[Truth], device: torch.device) -> tuple[Tensor, Tensor]:
    """[P] positions in a batch of maps, and [P] sizes of their regions; both are copied to the device as 32 bits."""
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
        """Add the positives that belong to the slice."""
        positions, sizes = _columns(truths, maps.device)
        keys, weights = _keys(maps.ravel()[positions]), 1 / sizes.double()
        inside = (keys > self.start) & (keys <= self._last)
        keys, weights = keys[inside], weights[inside]
        self._held.append(ThresholdTable(keys, torch.ones_like(weights), weights))
        if sum(len(part.keys) for part in self._held) > HELD_POSITIVES:
            self._shrink()

    def _shrink(self) -> None:
        """Drop the highest keys; equal keys are summed before, so the remaining keys stay complete."""
        lowest = ThresholdTable(*(column[: HELD_POSITIVES - HELD_POSITIVES // 4].clone() for column in self.table()))
        self._held, self._last = [lowest], float(lowest.keys[-1])

    def table(self) -> ThresholdTable:
        """All positives above `start` up to the last key. The slice is empty afterwards."""
        keys, counts, weights = (torch.cat(columns) for columns in zip(*self._held, strict=True))
        self._held = []
        keys, order = keys.sort()
        ends = torch.cat([keys[1:] != keys[:-1], torch.ones_like(keys[:1], dtype=torch.bool)]).nonzero().ravel()
        counts, weights = (running(column[order])[ends] for column in (counts, weights))
        return ThresholdTable(
            keys[ends], *(column.diff(prepend=torch.zeros_like(column[:1])) for column in (counts, weights))
        )


class _PixelCounts:
    """Counts of pixels with a lower key, and with an equal key, for each threshold of a table; above key `start`."""

    def __init__(self, table: ThresholdTable, start: float) -> None:
        self._table, self._start = table, torch.full_like(table.keys[:1], start)
        self._lower, self._same = torch.zeros_like(table.counts), torch.zeros_like(table.counts)
        self._held = torch.empty(HELD_PIXELS, dtype=torch.float32, device=table.keys.device)
        self._size = 0

    def add(self, maps: Tensor) -> None:
        """Count the pixels of maps."""
        for keys in torch.split(_keys(maps), HELD_PIXELS):
            if self._size + len(keys) > HELD_PIXELS:
                self._count()
            self._held[self._size : self._size + len(keys)] = keys
            self._size += len(keys)

    def _count(self) -> None:
        keys, thresholds = self._held[: self._size].sort().values, self._table.keys
        lower = torch.searchsorted(keys, thresholds)
        self._same += torch.searchsorted(keys, thresholds, right=True) - lower
        self._lower += lower - torch.searchsorted(keys, self._start, right=True)
        self._size = 0

    def normals(self) -> tuple[Tensor, Tensor]:
        """[K] lower and [K] equal, float64: counts of all added pixels, less the positives of the table."""
        self._count()
        counts = self._table.counts
        return self._lower - (running(counts) - counts), self._same - counts
