"""The bank with a Gaussian for each place of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench import Field
from adbench_gaussian.covariance import inverse_factor
from adbench_gaussian.learned import LearnedGaussians
from adbench_gaussian.moments import Moments
from adbench_gaussian.places import PlaceGaussians
from adbench_gaussian.room import make_sure_of_room
from adbench_gaussian.stream import grids_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream

BLOCK = 1 << 21
"""Elements of the covariances that are factorised together, in double precision."""

IMAGES = 32
"""Images whose products are added at once: each addition reads and writes all that is held."""


class Padim(LearnedGaussians):
    """PaDiM's distributions: at each place the mean and the covariance of the patches there (arXiv 2011.08785).

    The covariance is that of the sample plus a multiple of the identity (section III-B, Eq. 1). It is over some of the
    channels, drawn from the seed (section V-A).

    One pass; it holds the sums of products of H W R^2 float32, which become the factors of the inverse covariances in
    place, and the patches of 32 images.
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
        channels: Tensor | None = None
        moments: Moments | None = None
        held: list[Tensor] = []
        for patches in grids_of(features, ctx.device, self.title):
            if channels is None:
                channels, width, grid = self._draw(patches.shape[-1], ctx), patches.shape[-1], patches.shape[1:3]
            held.append(patches.flatten(1, 2).index_select(2, channels))
            if sum(map(len, held)) >= IMAGES:
                moments = self._added(moments, held)
        if held:
            moments = self._added(moments, held)
        assert channels is not None
        assert moments is not None
        means, factors = (table.reshape(*grid, *table.shape[1:]) for table in (moments.mean(), self._factors(moments)))
        self.learn(PlaceGaussians(means.float(), factors, "factor", channels, width))

    def _draw(self, width: int, ctx: Context) -> Tensor:
        """[R] the channels that are kept, in order."""
        import torch

        order = torch.randperm(width, generator=ctx.generator("padim/channels"))
        return order[: self.config.dim].sort().values.to(ctx.device)

    def _added(self, moments: Moments | None, held: list[Tensor]) -> Moments:
        """Add the patches that are held [B, P, R], and let go of them."""
        import torch

        rows = torch.cat(held).transpose(0, 1)
        held.clear()
        if moments is None:
            self._make_sure_of_room(rows)
            moments = Moments(rows.mean(1), torch.float32)
        moments.add(rows)
        return moments

    def _make_sure_of_room(self, rows: Tensor) -> None:
        places, _, size = rows.shape
        make_sure_of_room(
            4 * places * size**2 + 2 * rows.nbytes + 32 * BLOCK,
            f"{self.title} with covariances of {size} channels at {places:,} places",
            "keep fewer channels with dim, or use smaller images or deeper layers",
            str(rows.device),
        )

    def _factors(self, moments: Moments) -> Tensor:
        """[P, R, R] factors of the inverse covariances, in the memory of the sums; block by block, in float64."""
        places, size = moments.shift.shape
        height = max(1, BLOCK // size**2)
        for start in range(0, places, height):
            part = slice(start, start + height)
            covariance = moments.covariance(part)
            covariance.diagonal(dim1=-2, dim2=-1).add_(self.config.regularization)
            moments.products[part] = inverse_factor(covariance)
        return moments.products
