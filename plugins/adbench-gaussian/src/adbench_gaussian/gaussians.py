"""Gaussians in the form in which distances to them are measured.

`Gaussians` is what a scorer reads: `PlaceGaussians` holds one distribution for each place of the patch grid, PaDiM's
form; `ClusterGaussians` holds some that a patch may belong to wherever it lies.

Squared Mahalanobis distances, (x - m)^T P (x - m) (Mahalanobis, "On the generalised distance in statistics" (1936)),
are computed from a factor F of the precision, P = F F^T, as the squared length of (x - m) F, or from P itself where
that is all there is. A length cannot come out negative, and loses half as many digits as the product with P.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from adbench import GaussianBank

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["factor", "precision"]
"""Whether matrices are upper triangular factors of precisions or precisions themselves."""

BLOCK = 1 << 22
"""Elements of a temporary."""

STRIP = 64
"""Columns of a triangular factor that are multiplied together; the zeros below them are not."""


class Gaussians(ABC):
    """Normal Gaussians, in the form for distances."""

    @abstractmethod
    def nearest(self, patches: Tensor, who: str) -> tuple[Tensor, Tensor]:
        """The nearest Gaussian of each patch, or the Gaussian of its place.

        Args:
            patches: [B, H, W, C].
            who: the component that asks, as messages write it.

        Returns:
            Squared distances [B, H, W] float32 and the Gaussians' indices [B, H, W] int64.

        Raises:
            DataError: the patches are on another grid than the Gaussians.
        """

    @abstractmethod
    def modes(self, patches: Tensor, place: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The offset of one patch from the mean of its Gaussian, and that Gaussian's precision in the same space.

        Args:
            patches: [H, W, C], of one image.
            place: row and column of the patch.

        Returns:
            The offset [R] and the precision [R, R]; of a space without correlations, the precisions of its axes [R].
        """

    @abstractmethod
    def mean(self) -> Tensor:
        """The means [..., C] float32, over all channels of a patch."""

    @abstractmethod
    def precision(self) -> Tensor:
        """The precisions [..., C, C] float32, over all channels of a patch."""

    @abstractmethod
    def for_export(self) -> Gaussians:
        """The same, measured by tensor operations alone, whose steps do not depend on the patches."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All tensors, by name."""


class GaussianMemory(GaussianBank):
    """A bank that keeps `Gaussians`; `mean` and `precision` are computed from them on request."""

    @property
    @abstractmethod
    def gaussians(self) -> Gaussians:
        """The learned Gaussians.

        Raises:
            UsageError: nothing yet.
        """


def squared_lengths(offsets: Tensor, matrices: Tensor, form: Form) -> Tensor:
    """[P, n] squared distances for offsets [P, n, R] from the means of P Gaussians with matrices [P, R, R]."""
    import torch

    if form == "precision":
        return torch.bmm(offsets, matrices).mul_(offsets).sum(-1).clamp_(min=0)
    size = matrices.shape[-1]
    squared = offsets.new_zeros(offsets.shape[:-1])
    for start in range(0, size, STRIP):
        stop = min(start + STRIP, size)
        squared += torch.bmm(offsets[..., :stop], matrices[:, :stop, start:stop]).square_().sum(-1)
    return squared
