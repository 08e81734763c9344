"""The coreset bank: a few vectors that cover all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from adbench import Field
from adbench.coresets import Selection, distinct, greedy_cover, squared_lengths
from adbench_memory.collect import FEWER, collect
from adbench_memory.memory import VectorMemory
from adbench_memory.projection import gaussian_matrix, linear_matrix, safe_dim, sparse_matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from adbench import Context, FeatureStream

ANCHORS = 10
"""Points that ``start=mean-of-ten`` measures mean distances to."""

BLOCK = 1 << 22
"""Elements of the differences that are measured together."""

MATRICES = {"gaussian": gaussian_matrix, "linear": linear_matrix, "sparse": sparse_matrix}


class Coreset(VectorMemory):
    """A greedy k-center coreset of all patch vectors: PatchCore's bank (arXiv 2106.08265, section 3.2, Algorithm 1).

    The selection starts at a point drawn from the seed or, as in the official code, at the point with the greatest mean
    distance to ten such points: these distances then stand for those to the nearest kept vector wherever they are
    smaller, and the ten themselves are not kept by that. The selection may run on a random projection; the vectors that
    are kept are the original ones. Vectors that coincide with a kept one are never kept again, so that the bank of
    images with little variety may be smaller than asked for.
    """

    name: ClassVar[str] = "coreset"
    drops: ClassVar[bool] = True
    retired: ClassVar[Mapping[str, tuple[Any, str]]] = {
        **VectorMemory.retired,
        "memory": (None, f"leave it out; where the vectors do not fit, {FEWER}"),
    }

    class Config(VectorMemory.Config):
        """Options."""

        fraction: float = Field(0.1, gt=0, le=1, description="share of the patch vectors to keep")
        count: int | None = Field(
            None, ge=1, description="how many vectors to keep, instead of a fraction; all where there are fewer"
        )
        start: Literal["one", "mean-of-ten"] = Field(
            "one",
            description="one: a random vector is kept first; mean-of-ten: the one with the greatest mean distance to"
            " ten random ones, as in the official PatchCore code",
        )
        projection: Literal["none", "sparse", "gaussian", "linear"] = Field(
            "none",
            description="random projection to select on, skipped where it would not shorten the vectors; sparse is"
            " anomalib's, linear the official PatchCore code's",
        )
        dim: int | None = Field(None, ge=1, description="dimensions of the projection, instead of eps")
        eps: float = Field(
            0.9, gt=0, lt=1, description="distortion that the projection may have; gives its dimensions for N vectors"
        )

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        share = 1.3 if self.config.projection == "none" else 1.6  # vectors, coreset, sketches of what is selected on
        everything = collect(features, ctx.device, self.title, share)
        total = len(everything.vectors)
        select = self._selector(total, everything.vectors.shape[1], ctx)
        kept = distinct(select(everything.vectors, self._count(total)).index)
        self.store(everything.some(kept), ctx)

    def _count(self, total: int) -> int:
        wanted = int(total * self.config.fraction) if self.config.count is None else self.config.count
        return min(max(1, wanted), total)

    def _selector(self, total: int, channels: int, ctx: Context) -> Callable[[Tensor, int], Selection]:
        """The greedy k-center selection on the projection; the seed draws a new start at each call."""
        starts, dim = ctx.generator("coreset/start"), self._dim(total, channels)
        draw = MATRICES.get(self.config.projection, gaussian_matrix)
        matrix = None if dim is None else draw(channels, dim, ctx.generator("coreset/projection")).to(ctx.device)

        def select(vectors: Tensor, count: int) -> Selection:
            drawn = self._drawn(len(vectors), starts)
            points = vectors if matrix is None else vectors @ matrix
            return _selection(points, min(count, len(points)), drawn)

        return select

    def _drawn(self, total: int, starts: Generator) -> Tensor:
        """The vector to start at, or up to ten different anchors for `start=mean-of-ten`."""
        import torch

        if self.config.start == "one":
            return torch.randint(total, (1,), generator=starts)
        return torch.randperm(total, generator=starts)[:ANCHORS]

    def _dim(self, total: int, channels: int) -> int | None:
        """The dimensions of the projection; None if it would not shorten the vectors."""
        dim = self.config.dim or safe_dim(total, self.config.eps)
        return None if self.config.projection == "none" or dim >= channels else dim


def _selection(points: Tensor, count: int, drawn: Tensor) -> Selection:
    """Select a number of the points [N, C].

    Args:
        points: [N, C] to select among.
        count: how many.
        drawn: one point to start at; or several, from which the mean distances are measured that the selection begins
            with.
    """
    if len(drawn) == 1:
        return greedy_cover(points, count, int(drawn))
    ceiling = mean_squared_reach(points, drawn)
    return greedy_cover(points, count, int(ceiling.argmax()), ceiling=ceiling)


def mean_squared_reach(points: Tensor, anchors: Tensor) -> Tensor:
    """Squares [N] of the mean distances of the points [N, C] to the points at `anchors` [A].

    A ceiling for `greedy_cover`, which then begins at the point that is farthest on average, as the official PatchCore
    code does (amazon-science/patchcore-inspection, ``ApproximateGreedyCoresetSampler``).
    """
    import torch

    blocks = torch.split(points, max(1, BLOCK // points.shape[1]))
    return torch.cat([_mean_distances(block, points[anchors]) for block in blocks]).square()


def _mean_distances(rows: Tensor, anchors: Tensor) -> Tensor:
    """The mean distances [N] of rows [N, C] to anchors [A, C], one anchor after the other."""
    total = rows.new_zeros(len(rows))
    for anchor in anchors:
        total += squared_lengths(rows - anchor).sqrt()
    return total / len(anchors)
