"""Statistics of a stream's patches: one pass gives their mean, covariance and an even sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench.search import exact_search
from adbench_gaussian.moments import Moments
from adbench_gaussian.stream import objects_of

if TYPE_CHECKING:
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
    draw = _Draw(features, ctx, sample) if sample else None  # a seed that is read is part of the identity
    for rows, counts in objects_of(features, ctx.device, who):
        moments = moments or Moments(rows.mean(0)[None])
        add_rows(moments, rows)
        drawn.append(draw(rows, counts) if draw else rows[:0])
    assert moments is not None
    return PatchStatistics(moments.count, moments.mean()[0], moments.covariance()[0], torch.cat(drawn))


def patch_sample(features: FeatureStream, ctx: Context, who: str, count: int) -> Tensor:
    """The sample of `patch_statistics` alone [S, C] float32: a pass without sums."""
    import torch

    draw = _Draw(features, ctx, count)
    return torch.cat([draw(rows, counts) for rows, counts in objects_of(features, ctx.device, who)])


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
    patience = 2 * centers.shape[1]  # fewer are smaller than the sums of their products, which each addition reads
    groups = [Moments(center[None], patience) for center in centers]
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


class _Draw:
    """Draws as many patches of each image, in order, so that there are about `count` of a stream."""

    def __init__(self, features: FeatureStream, ctx: Context, count: int) -> None:
        self._generator, self._each = ctx.generator("survey/sample"), -(-count // max(1, len(features)))

    def __call__(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """The drawn patches of a batch [S, C], of whose rows each image has so many."""
        import torch

        return torch.cat([self._of_image(image) for image in torch.split(rows, list(counts))])

    def _of_image(self, rows: Tensor) -> Tensor:
        import torch

        chosen = torch.randperm(len(rows), generator=self._generator)[: self._each].sort().values
        return rows.index_select(0, chosen.to(rows.device))
