"""The structural similarity of images (Wang, Bovik, Sheikh and Simoncelli, 2004), place by place.

    SSIM = (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

with means m, variances s^2 and covariance s_xy in a Gaussian window of sigma 1.5 around each place, c_1 = (0.01 R)^2
and c_2 = (0.03 R)^2 for values that span R. It is scikit-image's with ``gaussian_weights=True`` and
``use_sample_covariance=False``. Beyond the border the edge goes on (replicate padding); scikit-image reflects it, so
that the two differ in a margin of half a window, and only there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

SIGMA = 1.5
K1, K2 = 0.01, 0.03


class _Terms(NamedTuple):
    """The terms of SSIM = (top_1 top_2) / (below_1 below_2) at each place, and the means, [B, C, H, W] each.

    Attributes:
        mean_l: m_x.
        mean_r: m_y.
        top_1: 2 m_x m_y + c_1.
        top_2: 2 s_xy + c_2.
        below_1: m_x^2 + m_y^2 + c_1.
        below_2: s_x^2 + s_y^2 + c_2.
    """

    mean_l: Tensor
    mean_r: Tensor
    top_1: Tensor
    top_2: Tensor
    below_1: Tensor
    below_2: Tensor


def similarity(left: Tensor, right: Tensor, window: int, span: float) -> Tensor:
    """The SSIM of each channel at each place, [B, C, H, W] from -1 to 1, in the type of the images.

    Args:
        left: [B, C, H, W].
        right: the same.
        window: side of the window in places, odd.
        span: R, what the values span: 1 for images from 0 to 1.
    """
    terms = _terms(left, right, _blurrings(left, window), span)
    similar: Tensor = (terms.top_1 * terms.top_2) / (terms.below_1 * terms.below_2)
    return similar


def mean_similarity(left: Tensor, right: Tensor, window: int, span: float) -> Tensor:
    """The mean of `similarity`, a scalar to learn by: its gradient by `right` costs as much as the value.

    Args:
        left: see `similarity`; it gets no gradient.
        right: see `similarity`.
        window: see `similarity`.
        span: see `similarity`.
    """
    mean: Tensor = _MeanSimilarity.apply(left.detach(), right, window, span)
    return mean


class _MeanSimilarity(torch.autograd.Function):
    """The mean SSIM with its gradient in closed form.

    The blurred images m_y, q = blur(x^2 + y^2) and p = blur(x y) are all that depends on y. So the gradient is the
    blur's adjoint of the three derivatives, by m_y + 2 y by q + x by p; autograd would blur and keep five times as
    many maps.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, window: int, span: float) -> Tensor:
        left, right = left.contiguous(), right.contiguous()
        down, across = _blurrings(left, window)
        terms = _terms(left, right, (down, across), span)
        inverse = (terms.below_1 * terms.below_2).reciprocal_()
        similar = terms.top_1 * terms.top_2 * inverse
        by_product = terms.top_1 * inverse
        by_squares = similar / terms.below_2
        by_mean = (terms.top_2 - terms.top_1).mul_(inverse).mul_(terms.mean_l)
        by_mean -= (similar / terms.below_1).sub_(by_squares).mul_(terms.mean_r)
        gradients = down.T @ (torch.stack([by_mean, by_squares, by_product]) @ across)
        gradient = gradients[0].addcmul_(right, gradients[1], value=-1).addcmul_(left, gradients[2])
        ctx.save_for_backward(gradient.mul_(2 / right.numel()))
        return similar.mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[None, Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return None, gradient * outer, None, None


def _terms(left: Tensor, right: Tensor, blurrings: tuple[Tensor, Tensor], span: float) -> _Terms:
    down, across = blurrings
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    images = torch.stack([left, right, left * left + right * right, left * right])
    mean_l, mean_r, squares, product = down @ (images @ across.T)
    both, below = mean_l * mean_r, mean_l * mean_l + mean_r * mean_r
    return _Terms(mean_l, mean_r, 2 * both + c1, 2 * (product - both) + c2, below + c1, squares - below + c2)


def _blurrings(like: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The matrices that blur the columns [H, H] and the rows [W, W] of images.

    Products of matrices run much nearer to a processor's limit than convolutions of single channels, up to images of
    a thousand places a side, and have no border to be padded.
    """
    height, width = like.shape[2:]
    return blurring(height, window // 2, like), blurring(width, window // 2, like)


def blurring(size: int, reach: int, like: Tensor) -> Tensor:
    """[size, size]: the Gaussian along one axis as a matrix; the edge value continues beyond the border."""
    places = torch.arange(size, device=like.device)[:, None] + torch.arange(-reach, reach + 1, device=like.device)
    taken = one_hot(places.clamp(0, size - 1), size).to(like.dtype)
    return (_gaussian(like, reach)[:, None] * taken).sum(1)


def _gaussian(like: Tensor, reach: int) -> Tensor:
    """The Gaussian kernel [2 reach + 1], with sum 1."""
    offsets = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()
