"""The bank that keeps a few vectors which cover all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import Field, Memo, UsageError
from adbench_memory.collect import Collection, Patches, collect, patches_of
from adbench_memory.kcenter import Progress, Selection, distinct, greedy_cover
from adbench_memory.memory import VectorMemory
from adbench_memory.merge import LEAST, Budget, Pool
from adbench_memory.projection import gaussian_matrix, safe_dim, sparse_matrix
from adbench_memory.room import make_sure_of_room

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream


class Coreset(VectorMemory):
    """A greedy k-center coreset of all patch vectors: PatchCore's memory bank (arXiv 2106.08265, section 3.2).

    The selection starts at a point drawn from the seed. It may run on a random projection; the vectors that are kept
    are the original ones. Vectors that coincide with a kept one are never kept again, so that the bank of images with
    little variety may be smaller than asked for.

    With `memory`, vectors that do not fit are reduced on the way (`adbench_memory.merge` says with which guarantee);
    where they fit, the selection is the same as without. Then the facts hold the rounds of reduction and the radius.
    """

    name: ClassVar[str] = "coreset"

    class Config(VectorMemory.Config):
        """Options."""

        fraction: float = Field(0.1, gt=0, le=1, description="share of the patch vectors to keep")
        count: int | None = Field(
            None, ge=1, description="how many vectors to keep, instead of a fraction; all where there are fewer"
        )
        memory: float | None = Field(
            None,
            gt=0,
            description="GB to select in: streaming merge-and-reduce of vectors that need more; none holds them all",
        )
        projection: Literal["none", "sparse", "gaussian"] = Field(
            "none", description="random projection to select on; skipped where it would not shorten the vectors"
        )
        dim: int | None = Field(None, ge=1, description="dimensions of the projection, instead of eps")
        eps: float = Field(
            0.9, gt=0, lt=1, description="distortion that the projection may have; gives its dimensions for N vectors"
        )

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        if self.config.memory is not None:
            self._fit_in(self.config.memory, features, ctx)
            return
        share = 1.3 if self.config.projection == "none" else 1.6  # vectors, coreset, sketches of what is selected on
        everything = collect(features, ctx.device, self.title, share)
        total = len(everything.vectors)
        select = self._selector(total, everything.vectors.shape[1], ctx)
        kept = distinct(select(everything.vectors, self._count(total)).index)
        self.remember(Collection(everything.vectors[kept], everything.owners[kept], everything.ids), ctx)

    def _fit_in(self, memory: float, features: FeatureStream, ctx: Context) -> None:
        """Gather and reduce the stream in so many GB."""
        pool: Pool | None = None
        ids: list[str] = []
        for patches in patches_of(features, self.title):
            pool = pool or self._pool(memory, patches, ctx)
            pool.add(patches.rows, patches.owners)
            ids.extend(patches.ids)
        assert pool is not None
        merged = pool.coreset(self._count(pool.seen))
        facts = {"rounds": merged.rounds, "radius": merged.radius}
        self.remember(Collection(merged.vectors, merged.owners, tuple(ids)), ctx, facts)

    def _pool(self, memory: float, patches: Patches, ctx: Context) -> Pool:
        """Room for the vectors of a stream that begins with this batch."""
        expected, channels = patches.ahead, patches.rows.shape[1]
        count, budget = self._count(expected), Budget(channels, self._dim(expected, channels) or 0, ctx.device)
        capacity, least = min(budget.vectors(memory), expected), min(expected, LEAST * count)
        if capacity < least:
            need = math.ceil(100 * budget.gigabytes(least)) / 100
            raise UsageError(
                f"{self.title} cannot select {count:,} of {expected:,} vectors in {memory:g} GB; give it"
                f" memory={need:g} or more, or keep fewer with fraction or count"
            )
        make_sure_of_room(capacity, channels, 1.3, ctx.device, self.title)
        return Pool(capacity, channels, expected, count, self._selector(expected, channels, ctx), ctx.device)

    def _count(self, total: int) -> int:
        wanted = int(total * self.config.fraction) if self.config.count is None else self.config.count
        return min(max(1, wanted), total)

    def _selector(self, total: int, channels: int, ctx: Context) -> Callable[[Tensor, int], Selection]:
        """Greedy k-center on the projection for so many vectors, from a start that the seed draws anew each time."""
        import torch

        starts, dim = ctx.generator("coreset/start"), self._dim(total, channels)
        draw = sparse_matrix if self.config.projection == "sparse" else gaussian_matrix
        matrix = None if dim is None else draw(channels, dim, ctx.generator("coreset/projection")).to(ctx.device)

        def select(vectors: Tensor, count: int) -> Selection:
            start = int(torch.randint(len(vectors), (), generator=starts))
            points = vectors if matrix is None else vectors @ matrix
            return _select_once(points, min(count, len(points)), start, ctx.memo)

        return select

    def _dim(self, total: int, channels: int) -> int | None:
        """The length of the projection; None where it would not be shorter."""
        dim = self.config.dim or safe_dim(total, self.config.eps)
        return None if self.config.projection == "none" or dim >= channels else dim


def _select_once(points: Tensor, count: int, start: int, memo: Memo) -> Selection:
    """Select, or recall or continue another bank's selection: a smaller coreset is the beginning of a larger one."""
    if not memo.budget:
        return greedy_cover(points, count, start)
    key = ("greedy k-center", start, Memo.digest(points))
    before: Progress | None = memo.find(key)
    if before is not None and len(before.chosen) >= count:
        memo.charge(before.prepared_s + float(before.seconds[count - 1]))
        return before.first(count)
    if before is not None:
        memo.charge(float(before.seconds[-1]))
    selection = greedy_cover(points, count, start, before)
    memo.keep(key, selection.progress, selection.progress.nbytes)
    return selection
