"""Statistics of a stream's patches: one pass gives their mean, covariance and an even sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench.search import exact_search
from adbench_gaussian.moments import Moments
from adbench_gaussian.stream import objects_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from adbench import Context, FeatureStream

ROWS = 4096
"""Rows that are added at once, so that their copy in double precision stays small."""


@dataclass(frozen=True)
class PatchStatistics:
    """The mean, covariance and sample of all patches.

    Attributes:
        count: how many there are.
        mean: [C] float64.
        covariance: [C, C] float64, divided by count - 1.
        sample: [S, C] float32, the same number from each image.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    sample: Tensor


def patch_statistics(features: FeatureStream, ctx: Context, who: str, sample: int = 0) -> PatchStatistics:
    """Compute the statistics of a stream in one pass.

    Args:
        features: the stream.
        ctx: for the device and the draw of the sample.
        who: the component that asks, as messages write it.
        sample: vectors wanted in the sample; it has as many of each image, at least one, or all where that is fewer.

    Raises:
        DataError, ContractError: as `objects_of`.
    """
    import torch

    moments: Moments | None = None
    drawn: list[Tensor] = []
    generator, each = ctx.generator("survey/sample") if sample else None, -(-sample // max(1, len(features)))
    for rows, counts in objects_of(features, ctx.device, who):
        moments = moments or Moments(rows.mean(0)[None])
        add_rows(moments, rows)
        drawn.extend(
            [_drawn(image, each, generator) for image in torch.split(rows, counts)] if generator else [rows[:0]]
        )
    assert moments is not None
    return PatchStatistics(moments.count, moments.mean()[0], moments.covariance()[0], torch.cat(drawn))


def add_rows(moments: Moments, rows: Tensor) -> None:
    """Add rows [N, C] to the moments of one set, a few at a time."""
    import torch

    for part in torch.split(rows, ROWS):
        moments.add(part[:, None])


def group_moments(
    features: FeatureStream, centers: Tensor, ctx: Context, who: str, into: Callable[[Tensor], Tensor] = lambda x: x
) -> list[Moments]:
    """The moments of the patches that are nearest to each center, in one pass; centers without patches are left out.

    Args:
        features: the stream.
        centers: [K, R] float32.
        ctx: for the device.
        who: the component that asks, as messages write it.
        into: maps patches [N, C] to where the centers are, [N, R].

    Raises:
        DataError, ContractError: as `objects_of`.
    """
    groups = [Moments(center[None]) for center in centers]
    for patches, _ in objects_of(features, ctx.device, who):
        rows = into(patches)
        nearest = exact_search(rows, centers, 1)[1][:, 0]
        for number, group in enumerate(groups):
            add_rows(group, rows[nearest == number])
    return [group for group in groups if group.count]


def images_of(features: FeatureStream, count: int, device: str, who: str) -> Iterator[Tensor]:
    """The patches of so many images at a time, [N, C], however the stream's batches are cut.

    Raises:
        DataError, ContractError: as `objects_of`.
    """
    import torch

    held: list[Tensor] = []
    for rows, counts in objects_of(features, device, who):
        for image in torch.split(rows, counts):
            held.append(image)
            if len(held) == count:
                yield torch.cat(held)
                held = []
    if held:
        yield torch.cat(held)


def _drawn(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Some of an image's patches, in order."""
    import torch

    chosen = torch.randperm(len(rows), generator=generator)[:count].sort().values
    return rows.index_select(0, chosen.to(rows.device))
