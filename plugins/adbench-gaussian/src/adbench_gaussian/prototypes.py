"""The bank with a Gaussian for each cluster of patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import Field
from adbench_gaussian.clusters import Axes, ClusterGaussians
from adbench_gaussian.covariance import inverse_factor, principal, shrunk
from adbench_gaussian.kmeans import k_means
from adbench_gaussian.learned import LearnedGaussians
from adbench_gaussian.moments import Moments
from adbench_gaussian.patch_statistics import PatchStatistics, group_moments, patch_statistics

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream


class Prototypes(LearnedGaussians):
    """Clusters of normal patches with their means and covariances: k-means on principal components, then Gaussians.

    With one prototype it is the single Gaussian of Rippel, Mertens and Merhof (arXiv 2005.14140), over patches.

    Two passes: the first finds the principal components of all patches and draws a sample, on which k-means runs; the
    second takes the mean and covariance of all patches that are nearest to each center.
    """

    name: ClassVar[str] = "prototypes"
    drops: ClassVar[bool] = True
    form = ClusterGaussians
    passes: ClassVar[int] = 2

    class Config(LearnedGaussians.Config):
        """Options."""

        count: int = Field(16, ge=1, description="prototypes; fewer where fewer patches differ")
        covariance: Literal["shared", "cluster"] = Field(
            "shared", description="shared: that of all patches around their prototypes; cluster: one for each prototype"
        )
        variance: float = Field(
            1.0, gt=0, le=1, description="share of the variance that the principal components keep; 1 keeps all of them"
        )
        shrinkage: float = Field(
            0.07, ge=0, le=1, description="weight of a sphere in each covariance; its radius is that of all clusters"
        )
        sample: int = Field(32_768, ge=1, description="patches that k-means runs on, the same number from each image")
        iterations: int = Field(50, ge=0, description="of k-means, at most")

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        statistics = patch_statistics(features, ctx, self.title, self.config.sample)
        _, directions = principal(statistics.covariance, self.config.variance)
        axes = Axes(statistics.mean.float(), directions.float())
        clusters = group_moments(features, self._centers(statistics, axes, ctx), ctx, self.title, axes.into)
        self.learn(self._common(clusters, axes) if self.config.covariance == "shared" else self._own(clusters, axes))

    def _centers(self, statistics: PatchStatistics, axes: Axes, ctx: Context) -> Tensor:
        """The centers of the clusters, [K, R]."""
        generator = ctx.generator("prototypes/k-means")
        return k_means(axes.into(statistics.sample), self.config.count, self.config.iterations, generator)

    def _common(self, clusters: list[Moments], axes: Axes) -> ClusterGaussians:
        """Gaussians with one common covariance, which are spheres on axes that it has scaled."""
        import torch

        factor = inverse_factor(shrunk(_within(clusters), self.config.shrinkage))
        turned, lengths = _orthogonal(axes.basis.double() @ factor)
        scaled = Axes(axes.center, (turned * lengths).float())
        means = torch.cat([cluster.mean() for cluster in clusters])
        return ClusterGaussians((means @ axes.basis.double().T @ (turned * lengths)).float(), axes=scaled)

    def _own(self, clusters: list[Moments], axes: Axes) -> ClusterGaussians:
        """Gaussians with a covariance for each cluster."""
        import torch

        scale = _within(clusters).diagonal().mean()
        covariances = torch.cat([cluster.covariance() for cluster in clusters])
        factors = inverse_factor(shrunk(covariances, self.config.shrinkage, scale))
        means = torch.cat([cluster.mean() for cluster in clusters])
        return ClusterGaussians(means.float(), factors.float().contiguous(), axes=axes)


def _within(clusters: list[Moments]) -> Tensor:
    """The covariance [R, R] of all patches around the means of their clusters."""
    patches = sum(cluster.count for cluster in clusters)
    scatter = sum(cluster.scatter()[0] for cluster in clusters)
    assert not isinstance(scatter, int)
    return scatter / max(1, patches - len(clusters))


def _orthogonal(basis: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal columns [C, R] and lengths [R]: a basis that measures the same lengths as the one given."""
    import torch

    left, lengths, _ = torch.linalg.svd(basis, full_matrices=False)
    return left, lengths
