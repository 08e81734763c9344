"""The bank with a Gaussian for each place of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench import Field
from adbench.banks import require_room
from adbench_gaussian.covariance import inverse_factor
from adbench_gaussian.learned import LearnedGaussians
from adbench_gaussian.moments import Moments
from adbench_gaussian.places import PlaceGaussians
from adbench_gaussian.stream import grids_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream


class Padim(LearnedGaussians):
    """PaDiM's distributions: at each place the mean and the covariance of the patches there (arXiv 2011.08785).

    The covariance is that of the sample plus a multiple of the identity (section III-B, Eq. 1). It is over some of the
    channels, drawn from the seed (section V-A).

    One pass. It holds the patches of as many images as there are channels; where there are more images, also the sums
    of their products, H W R^2 float64. Factors of the inverse covariances, H W R^2 float32, are made of them block by
    block; the inverse covariances themselves only when somebody asks for `precision`.
    """

    name: ClassVar[str] = "padim"
    form = PlaceGaussians

    class Config(LearnedGaussians.Config):
        """Options."""

        dim: int = Field(
            100,
            ge=1,
            description="channels that are kept, drawn from the seed; all where there are fewer. The paper takes 100 of"
            " ResNet-18's and 550 of WideResNet-50-2's",
        )
        regularization: float = Field(
            0.01,
            gt=0,
            description="multiple of the identity that is added to each covariance; anomalib takes 0.01001, since it"
            " adds 0.00001 to the paper's 0.01",
        )

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        moments: Moments | None = None
        for patches in grids_of(features, ctx.device, self.title):
            if moments is None:
                grid, width = patches.shape[1:3], patches.shape[3]
                channels = self._draw(width, ctx)
                rows = patches.flatten(1, 2).index_select(2, channels)
                self._require_room(rows, len(features))
                moments = Moments(rows.mean(0), patience=len(channels))
            else:
                rows = patches.flatten(1, 2).index_select(2, channels)
            moments.add(rows)
        assert moments is not None
        means, factors = moments.mean().float(), self._factors(moments)
        size = len(channels)
        gaussians = PlaceGaussians(
            means.reshape(*grid, size), factors.reshape(*grid, size, size), "factor", channels, width
        )
        self.learn(gaussians)

    def _draw(self, width: int, ctx: Context) -> Tensor:
        """The kept channels [R], in order."""
        import torch

        order = torch.randperm(width, generator=ctx.generator("padim/channels"))
        return order[: self.config.dim].sort().values.to(ctx.device)

    def _require_room(self, rows: Tensor, images: int) -> None:
        """Require memory for the vectors of all images; [B, P, R] are the first images."""
        _, places, size = rows.shape
        held, sums, factors = 4 * min(images, size), 8 * size * (images >= size), 4 * size
        require_room(
            places * size * max(held + sums, held * (images < size) + sums + factors),
            f"{self.title} with covariances of {size} channels at {places:,} places",
            "keep fewer channels with dim, or use smaller images or deeper layers",
            str(rows.device),
        )

    def _factors(self, moments: Moments) -> Tensor:
        """Factors of the inverse covariances, [P, R, R] float32, computed block by block in float64."""
        import torch

        factors = torch.empty(*moments.shape, moments.shape[-1], device=moments.device)
        for part in moments.parts():
            covariance = moments.covariance(part)
            covariance.diagonal(dim1=-2, dim2=-1).add_(self.config.regularization)
            factors[part] = inverse_factor(covariance)
        return factors
