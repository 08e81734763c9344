"""Mean patches of all places of an image, and distances from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench import ContractError, DataError
from adbench_memory.whitening import whitening_basis

if TYPE_CHECKING:
    from torch import Tensor

SHRINKAGE = 0.01
"""Weight of no correlation in the covariance, as PaDiM adds 0.01 of the identity (arXiv 2011.08785, Eq. 1)."""


@dataclass(frozen=True)
class PlaceMeans:
    """The mean patch of each place, and one covariance of the patches around the means.

    That is PaDiM (arXiv 2011.08785) with a covariance that all places share, as in linear discriminant analysis: it is
    known from few images, and a place costs as much as in any grid. The grid of means is enlarged or reduced
    bilinearly to that of an image, so images may have any shape.

    Attributes:
        means: [G, G, C] float32.
        basis: [C, C] float32: whitens what lies around the means.
    """

    means: Tensor
    basis: Tensor

    def distances(self, patches: Tensor) -> Tensor:
        """Mahalanobis distances [B, H, W] of patches [B, H, W, C] from the means of their places."""
        known = _on_grid(self.means[None], patches.shape[1], patches.shape[2])
        return ((patches.to(known) - known) @ self.basis).square().sum(-1).sqrt()

    def state(self) -> dict[str, Tensor]:
        return {"means": self.means, "basis": self.basis}


class PlaceSums:
    """The sums over images from which `PlaceMeans` are computed.

    Every image's patches are brought onto one grid of `side` x `side` places first. Background patches count as all
    others do.
    """

    def __init__(self, side: int, who: str) -> None:
        self._side, self._who = side, who
        self.clear()

    def clear(self) -> None:
        """Forget all images."""
        self._images = 0
        self._sum: Tensor | None = None
        self._products: Tensor | None = None

    def add(self, patches: Tensor) -> None:
        """Add the patches [B, H, W, C] of some images."""
        import torch

        if not patches.isfinite().all():
            raise ContractError("the backbone or a neck", f"{self._who} got patches that are not finite")
        grid = _on_grid(patches.float(), self._side, self._side).double()
        if self._sum is None or self._products is None:
            self._sum = torch.zeros_like(grid[0])
            self._products = grid.new_zeros(grid.shape[3], grid.shape[3])
        rows = grid.flatten(0, 2)
        self._images += len(grid)
        self._sum += grid.sum(0)
        self._products += rows.T @ rows

    def means(self, device: str) -> PlaceMeans:
        """The means, and the covariance around them."""
        if self._sum is None or self._products is None:
            raise DataError(f"{self._who} cannot learn from nothing: there is no image to learn from")
        means = self._sum / self._images
        rows = means.flatten(0, 1)
        covariance = (self._products / self._images - rows.T @ rows) / len(rows)
        return PlaceMeans(means.float().to(device), whitening_basis(covariance, SHRINKAGE).to(device))


def _on_grid(grid: Tensor, height: int, width: int) -> Tensor:
    """Patches [B, h, w, C] on a grid of another size, bilinearly."""
    from torch.nn.functional import interpolate

    if tuple(grid.shape[1:3]) == (height, width):
        return grid
    return interpolate(grid.permute(0, 3, 1, 2), (height, width), mode="bilinear").permute(0, 2, 3, 1)
