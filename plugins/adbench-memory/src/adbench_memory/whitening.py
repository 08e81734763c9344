"""Maps into spaces where normal vectors vary equally in all directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SPREAD = 0.01
"""Channels count as spread by this share of the mean spread at least: one that never moved would drown the rest."""


def whitening(vectors: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """The map z = (x - center) basis after which vectors have a spread of one in all directions.

    Args:
        vectors: [N, D].
        shrinkage: weight of the identity in the correlations.

    Returns:
        Center [D] and basis [D, D], float32.
    """
    wide = vectors.double()
    center = wide.mean(0)
    apart = wide - center
    return center.float(), whitening_basis(apart.T @ apart / len(wide), shrinkage)


def whitening_basis(covariance: Tensor, shrinkage: float) -> Tensor:
    """The matrix [D, D] float32 after which centred vectors of this covariance have a spread of one in all directions.

    Args:
        covariance: [D, D] float64.
        shrinkage: weight of the identity in the correlations.
    """
    import torch

    spread = covariance.diagonal().clamp(min=0).sqrt()
    least = (LEAST_SPREAD * spread.mean()).clamp(min=torch.finfo(torch.float32).eps)
    scale = spread.clamp(min=float(least))
    values, axes = torch.linalg.eigh(covariance / torch.outer(scale, scale))
    lengths = ((1 - shrinkage) * values.clamp(min=0) + shrinkage).rsqrt()
    basis: Tensor = (axes * lengths / scale[:, None]).float()
    return basis
