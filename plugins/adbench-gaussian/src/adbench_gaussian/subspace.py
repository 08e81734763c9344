"""The bank with the linear subspace in which normal patches lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import ContractError, Field, ReconstructionBank, UsageError
from adbench_gaussian.covariance import principal
from adbench_gaussian.patch_statistics import patch_statistics

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream


class Subspace(ReconstructionBank):
    """Patches redrawn from the principal components of normal ones (SubspaceAD, arXiv 2602.23013).

    The components are those that explain a share of the variance, from the mean and the covariance of all patches in
    double precision. One pass is enough, and nothing is drawn: the seed does not matter. What is kept are the mean [C]
    and the components [K, C], whatever the number of images. Where all patches are the same there is no component, and
    every patch is redrawn as that one.
    """

    name: ClassVar[str] = "subspace"
    plain: ClassVar[bool] = True
    drops: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(ReconstructionBank.Config):
        """Options."""

        variance: float = Field(
            0.99, gt=0, lt=1, description="share of the variance that the components explain; SubspaceAD has 0.99"
        )

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        statistics = patch_statistics(features, ctx, self.title)
        axes = self._axes(statistics.covariance)
        self._learned = {"mean": statistics.mean.float(), "components": axes.T.float().contiguous()}

    def reconstruct(self, features: Features) -> Tensor:
        """The projection of each patch onto the subspace, [B, H, W, C] float32.

        Raises:
            ContractError: the patches have other channels than those that were learned from.
            UsageError: nothing was learned yet.
        """
        mean, components = self._known("mean"), self._known("components")
        patches = features.need_patches(self.title).to(mean)
        if patches.shape[-1] != len(mean):
            fault = f"patches have as many channels as when {self.title} learned, {len(mean)}, not {patches.shape[-1]}"
            raise ContractError("the backbone or a neck", fault)
        return mean + (patches - mean) @ components.T @ components

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = {name: tensor.to(self._device) for name, tensor in state.items()}

    def facts(self) -> Mapping[str, float]:
        """The number of components."""
        return {"components": float(len(self._known("components")))}

    def _axes(self, covariance: Tensor) -> Tensor:
        """The strongest axes [C, K] float64, without those whose variance is only rounding."""
        import torch

        variances, axes = principal(covariance, self.config.variance)
        rounding = torch.finfo(variances.dtype).eps * len(covariance) * variances[0]
        return axes[:, variances > rounding]

    def _known(self, name: str) -> Tensor:
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[name]
