"""Shrinkage, principal axes and inverse factors of covariances."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FLOOR, LEAST_SCALE = 1e-8, 1e-12
"""Eigenvalues are not below this share of their mean, which counts as this much at least (MH-PatchCore)."""


def inverse_factor(covariance: Tensor) -> Tensor:
    """The upper triangular F with F F^T = covariance^-1: the distance of x is the length of (x - mean) F.

    F is the inverse transposed of the Cholesky factor.

    Args:
        covariance: [..., R, R], positive definite.
    """
    import torch

    identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    lower: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), identity, upper=False)
    return lower.transpose(-1, -2)


def shrunk(covariance: Tensor, share: float, scale: Tensor | float | None = None) -> Tensor:
    """Covariances [..., R, R] moved towards a sphere: (1 - share) S + share m I, and a floor for all eigenvalues.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004), with a share that
    is given. m is the mean eigenvalue trace(S) / R, or `scale`.
    """
    import torch

    size = covariance.shape[-1]
    own = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)
    sphere = own if scale is None else torch.as_tensor(scale, dtype=covariance.dtype, device=own.device).expand_as(own)
    identity = torch.eye(size, dtype=covariance.dtype, device=covariance.device)
    # positive semidefinite up to rounding, so that the floor need not look at the eigenvalues
    added = share * sphere + FLOOR * sphere.clamp(min=LEAST_SCALE)
    return (1 - share) * covariance + added[..., None, None] * identity


def shrunk_eigenvalues(values: Tensor, share: float) -> Tensor:
    """The shrunk eigenvalues [R] of a diagonal covariance; here the floor is a minimum, as in MH-PatchCore."""
    mean = values.mean()
    floor = FLOOR * mean.clamp(min=LEAST_SCALE)
    return ((1 - share) * values + share * mean).clamp(min=floor)


def principal(covariance: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The principal axes that explain a share of the variance, the strongest first.

    Args:
        covariance: [C, C] float64.
        share: above 0; 1 keeps all axes. At least one is kept.

    Returns:
        Their variances [R] and the axes [C, R], orthonormal. Each axis points to where its largest entry is positive.
    """
    import torch

    values, axes = torch.linalg.eigh(covariance)
    values, axes = values.flip(0).clamp(min=0), axes.flip(1)
    kept = len(values)
    if share < 1:
        explained = values.cumsum(0) / values.sum().clamp(min=LEAST_SCALE)
        kept = min(kept, int((explained < share).sum()) + 1)
    axes = axes[:, :kept]
    largest = axes.abs().argmax(0)
    return values[:kept], axes * axes[largest, torch.arange(kept, device=axes.device)].sign()
