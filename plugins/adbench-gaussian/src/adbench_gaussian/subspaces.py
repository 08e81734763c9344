"""Affine subspaces: a vector is redrawn as its projection onto the nearest of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench_gaussian.covariance import principal

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 22
"""Elements of a temporary."""


@dataclass(frozen=True)
class Subspaces:
    """G subspaces, each through a mean.

    Attributes:
        means: [G, C] float32.
        components: [G, R, C] float32, orthonormal rows; rows of zeros where a subspace has fewer than R dimensions.
    """

    means: Tensor
    components: Tensor

    @classmethod
    def through(cls, means: Sequence[Tensor], axes: Sequence[Tensor]) -> Subspaces:
        """Subspaces through means [C] along orthonormal axes [C, R_g], as many of these as each has."""
        import torch

        most = max(one.shape[1] for one in axes)
        padded = [torch.nn.functional.pad(one.T, (0, 0, 0, most - one.shape[1])) for one in axes]
        return cls(torch.stack(list(means)).float(), torch.stack(padded).float().contiguous())

    @property
    def dimensions(self) -> int:
        """The number of components of all subspaces together."""
        return int(self.components.any(-1).sum())

    def redrawn(self, rows: Tensor) -> Tensor:
        """Each row [N, C] as its projection onto the subspace from which it is least far off, [N, C].

        The subspace is found by products, the projection computed from the differences.
        """
        import torch

        if len(self.means) == 1:
            return self._onto(0, rows)
        if torch.compiler.is_exporting():  # where no number of rows is fixed, so that they cannot be cut into parts
            return self._onto_chosen(self._squared_residuals(rows).argmin(1), rows)
        nearest = torch.cat([self._squared_residuals(part).argmin(1) for part in torch.split(rows, self._height)])
        redrawn = torch.empty_like(rows)
        for one in torch.unique(nearest).tolist():
            members = (nearest == one).nonzero()[:, 0]
            redrawn[members] = self._onto(one, rows[members])
        return redrawn

    @property
    def _height(self) -> int:
        """Rows for which residuals from all subspaces are computed at once."""
        groups, most, _ = self.components.shape
        return max(1, BLOCK // max(1, groups * most))

    def _onto(self, one: int, rows: Tensor) -> Tensor:
        """The projections of rows onto one of the subspaces."""
        mean, components = self.means[one], self.components[one]
        return mean + (rows - mean) @ components.T @ components

    def _onto_chosen(self, chosen: Tensor, rows: Tensor) -> Tensor:
        """The same, each row onto its own subspace, in steps that do not depend on what was chosen."""
        means, components = self.means[chosen], self.components[chosen]
        along = components @ (rows - means)[:, :, None]
        return means + (components.transpose(1, 2) @ along)[:, :, 0]

    def _squared_residuals(self, rows: Tensor) -> Tensor:
        """[N, G] squared distances from all subspaces: what the offset is long, without what lies in the subspace.

        Offsets are taken from the middle of the means first, so that large means cost no digits.
        """
        middle = self.means.mean(0)
        means, rows = self.means - middle, rows - middle
        lengths = rows.square().sum(1)[:, None] - 2 * rows @ means.T + means.square().sum(1)
        along = rows @ self.components.flatten(0, 1).T - (self.components @ means[:, :, None]).flatten()
        return lengths - along.reshape(rows.shape[0], *self.components.shape[:2]).square().sum(-1)


def strongest_axes(covariance: Tensor, share: float, most: int = 0) -> Tensor:
    """The strongest axes [C, R] float64 of a covariance [C, C], without those whose variance is only rounding.

    Args:
        covariance: [C, C] float64.
        share: of the variance, which they explain.
        most: how many there may be; 0 for as many as the share needs.
    """
    import torch

    variances, axes = principal(covariance, share)
    rounding = torch.finfo(variances.dtype).eps * len(covariance) * variances[0]
    kept = axes[:, variances > rounding]
    return kept[:, :most] if most else kept
