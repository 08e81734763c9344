"""The bank with the linear subspaces in which normal patches and images lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import ContractError, Field, ReconstructionBank, UsageError
from adbench_gaussian.image_moments import ImageMoments
from adbench_gaussian.kmeans import k_means
from adbench_gaussian.patch_statistics import group_moments, patch_sample, patch_statistics
from adbench_gaussian.subspaces import Subspaces, strongest_axes

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream

SAMPLE = 8192
"""Patches that k-means runs on, the same number from each image."""

ITERATIONS = 10
"""Of k-means, at most."""


class Subspace(ReconstructionBank):
    """Patches redrawn from the principal components of normal ones (SubspaceAD, arXiv 2602.23013).

    The components are those that explain a share of the variance, from the mean and the covariance of all patches in
    double precision. One pass is enough, and nothing is drawn: the seed does not matter. What is kept are the mean [C]
    and the components [K, C], whatever the number of images. Where all patches are the same there is no component, and
    every patch is redrawn as that one.

    With `groups`, k-means divides the patches into groups of like ones first, and each group has a mean and components
    of its own. A patch is redrawn from the group that redraws it best (local principal components: Kambhatla and Leen,
    "Dimension reduction by local principal component analysis" (1997), with groups by k-means). That takes two passes,
    and the seed draws the sample that k-means runs on.

    With `image_variance`, the vectors of whole normal images have a subspace, too: a whole image can be redrawn.
    """

    name: ClassVar[str] = "subspace"
    plain: ClassVar[bool] = True
    drops: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    came_later: ClassVar[frozenset[str]] = frozenset({"groups", "components", "image_variance"})

    class Config(ReconstructionBank.Config):
        """Options."""

        variance: float = Field(
            0.99, gt=0, lt=1, description="share of the variance that the components explain; SubspaceAD has 0.99"
        )
        groups: int = Field(
            1,
            ge=1,
            le=4096,
            description="groups of like patches, each with a subspace; fewer where fewer patches differ",
        )
        components: int = Field(
            0, ge=0, description="most components of a group, where `variance` asks for more; 0: as many as it asks for"
        )
        image_variance: float = Field(
            0, ge=0, lt=1, description="the same share for the vectors of whole images; 0: patches alone are redrawn"
        )

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.config.groups > 1:
            self.passes = 2  # type: ignore[misc]  # it depends on the options
        if self.config.image_variance:
            self.needs = self.needs | {"image"}  # type: ignore[misc]  # the same
        self._device = "cpu"
        self._patches: Subspaces | None = None
        self._images: Subspaces | None = None

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        images = ImageMoments(features, self.title) if self.config.image_variance else None
        if self.config.groups > 1:
            sample = patch_sample(images or features, ctx, self.title, SAMPLE)
            centers = k_means(sample, self.config.groups, ITERATIONS, ctx.generator("subspace/k-means"))
            groups = group_moments(features, centers, ctx, self.title)
            means, covariances = [one.mean()[0] for one in groups], [one.covariance()[0] for one in groups]
        else:
            statistics = patch_statistics(images or features, ctx, self.title)
            means, covariances = [statistics.mean], [statistics.covariance]
        axes = [strongest_axes(one, self.config.variance, self.config.components) for one in covariances]
        self._patches, self._images = Subspaces.through(means, axes), None
        if images is not None and images.moments is not None:
            covariance = images.moments.covariance()[0]
            self._images = Subspaces.through(
                [images.moments.mean()[0]], [strongest_axes(covariance, self.config.image_variance)]
            )

    def reconstruct(self, features: Features) -> Tensor:
        """The projection of each patch onto the nearest subspace, [B, H, W, C] float32.

        Raises:
            ContractError: the patches have other channels than those that were learned from.
            UsageError: nothing was learned yet.
        """
        known = self._known
        patches = features.need_patches(self.title).to(known.means)
        self._require_channels("patches have", patches, known)
        return known.redrawn(patches.flatten(0, 2)).reshape(patches.shape)

    def reconstruct_image(self, features: Features) -> Tensor:
        """The projection of each image's vector onto the subspace of normal ones, [B, D] float32.

        Raises:
            ContractError: the vectors have other channels than those that were learned from.
            UsageError: nothing was learned yet, or no image vectors.
        """
        if self._known and self._images is None:
            raise UsageError(f"{self.title} learned no image vectors; set its option 'image_variance', such as 0.98")
        assert self._images is not None
        vectors = features.need_image(self.title).to(self._images.means)
        self._require_channels("image vectors have", vectors, self._images)
        return self._images.redrawn(vectors)

    def state(self) -> dict[str, Tensor]:
        if self._patches is None:
            return {}
        means, components = self._patches.means, self._patches.components
        if self.config.groups == 1:
            means, components = means[0], components[0]
        state = {"mean": means, "components": components}
        if self._images is not None:
            state |= {"image/mean": self._images.means[0], "image/components": self._images.components[0]}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        known = {name: tensor.to(self._device) for name, tensor in state.items()}
        channels = known["mean"].shape[-1]
        components = known["components"]
        several = components if components.dim() == 3 else components[None]
        self._patches = Subspaces(known["mean"].reshape(-1, channels), several)
        self._images = None
        if "image/mean" in known:
            self._images = Subspaces(known["image/mean"][None], known["image/components"][None])

    def facts(self) -> Mapping[str, float]:
        """The number of components, and of groups and of the images' components where there are any."""
        facts = {"components": float(self._known.dimensions)}
        if self.config.groups > 1:
            facts["groups"] = float(len(self._known.means))
        if self._images is not None:
            facts["image_components"] = float(self._images.dimensions)
        return facts

    @property
    def _known(self) -> Subspaces:
        if self._patches is None:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._patches

    def _require_channels(self, what: str, given: Tensor, known: Subspaces) -> None:
        if given.shape[-1] != known.means.shape[-1]:
            fault = f"{what} as many channels as when {self.title} learned, {known.means.shape[-1]}"
            raise ContractError("the backbone or a neck", f"{fault}, not {given.shape[-1]}")
