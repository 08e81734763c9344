"""The bank of whitened patches: a coreset in a space where normal patches vary equally in all directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench import Field
from adbench.coresets import MergeReduce
from adbench_gaussian.clusters import Axes, ClusterGaussians
from adbench_gaussian.covariance import principal, shrunk_eigenvalues
from adbench_gaussian.learned import LearnedGaussians
from adbench_gaussian.patch_statistics import images_of, patch_statistics

if TYPE_CHECKING:
    from adbench import Context, FeatureStream


class Whitened(LearnedGaussians):
    """MH-PatchCore's memory (arXiv 2605.27748): a coreset of patches, whitened by the shrunk covariance of all.

    Distances in whitened space are Mahalanobis distances: the bank is a mixture of Gaussians around the coreset's
    patches, with one covariance. Principal components are exact, from one pass of sums; since the components are
    uncorrelated, their covariance is diagonal and known, and whitening is a scale. So two passes do what the published
    code takes three for. Nothing is drawn: the seed does not matter.
    """

    name: ClassVar[str] = "whitened"
    drops: ClassVar[bool] = True
    form = ClusterGaussians
    passes: ClassVar[int] = 2

    class Config(LearnedGaussians.Config):
        """Options."""

        count: int = Field(1000, ge=1, description="patches that are kept, at most")
        variance: float = Field(
            1.0,
            gt=0,
            le=1,
            description="share of the variance that the principal components keep; 1 keeps all, MH-PatchCore 0.99",
        )
        shrinkage: float = Field(0.07, ge=0, le=1, description="weight of a sphere in the covariance")
        local: int = Field(256, ge=1, description="patches that a set is reduced to on the way, at most")
        images: int = Field(32, ge=1, description="images whose patches are reduced together")

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        statistics = patch_statistics(features, ctx, self.title)
        variances, directions = principal(statistics.covariance, self.config.variance)
        scale = shrunk_eigenvalues(variances, self.config.shrinkage).rsqrt()
        axes = Axes(statistics.mean.float(), (directions * scale).float())
        memory = MergeReduce(self.config.count, self.config.local)
        for rows in images_of(features, self.config.images, ctx.device, self.title):
            memory.add(axes.into(rows))
        self.learn(ClusterGaussians(memory.coreset(), axes=axes))
