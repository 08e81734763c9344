"""The modes of a Gaussian: directions in which normal patches vary independently, and their shares in a distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def shares_of_modes(offset: Tensor, precision: Tensor) -> Tensor | None:
    """The share of each mode in a squared Mahalanobis distance, by falling variance of the mode.

    With P = sum of l_k u_k u_k^T, the squared distance x^T P x is the sum of l_k (u_k^T x)^2; 1 / l_k is the variance
    of mode k.

    Args:
        offset: [R], from the mean.
        precision: [R, R]; or [R], the precisions of uncorrelated axes.

    Returns:
        [R] float64 shares, together 1; None if the distance is 0.
    """
    import torch

    wide = offset.double()
    if precision.ndim == 1:
        values, order = precision.double().sort(stable=True)
        along = wide[order]
    else:
        values, vectors = torch.linalg.eigh(precision.double())
        along = vectors.T @ wide
    squares = values.clamp(min=0) * along.square()
    total = squares.sum()
    return squares / total if bool(total > 0) else None
