"""The bank that keeps a few vectors which cover all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import Component, Field
from adbench_memory.collect import Collection, collect
from adbench_memory.kcenter import greedy_k_center
from adbench_memory.memory import VectorMemory
from adbench_memory.projection import gaussian_matrix, safe_dim, sparse_matrix

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream


class Coreset(VectorMemory):
    """A greedy k-center coreset of all patch vectors: PatchCore's memory bank (arXiv 2106.08265, section 3.2).

    The selection starts at a point drawn from the seed. It may run on a random projection; the vectors that are kept
    are the original ones. Vectors that coincide with a kept one are never kept again, so that the bank of images with
    little variety may be smaller than asked for.
    """

    name: ClassVar[str] = "coreset"

    class Config(Component.Config):
        """Options."""

        fraction: float = Field(0.1, gt=0, le=1, description="share of the patch vectors to keep")
        count: int | None = Field(
            None, ge=1, description="how many vectors to keep, instead of a fraction; all where there are fewer"
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
        import torch

        everything = collect(features, ctx.device, self.title)
        total = len(everything.vectors)
        start = int(torch.randint(total, (), generator=ctx.generator("coreset/start")))
        chosen = greedy_k_center(self._projected(everything.vectors, ctx), self._count(total), start)
        kept = torch.tensor(list(dict.fromkeys(chosen.tolist())), device=everything.vectors.device)
        self.remember(Collection(everything.vectors[kept], everything.owners[kept], everything.ids))

    def _count(self, total: int) -> int:
        wanted = int(total * self.config.fraction) if self.config.count is None else self.config.count
        return min(max(1, wanted), total)

    def _projected(self, vectors: Tensor, ctx: Context) -> Tensor:
        dim = self.config.dim or safe_dim(len(vectors), self.config.eps)
        if self.config.projection == "none" or dim >= vectors.shape[1]:
            return vectors
        draw = sparse_matrix if self.config.projection == "sparse" else gaussian_matrix
        return vectors @ draw(vectors.shape[1], dim, ctx.generator("coreset/projection")).to(vectors.device)
