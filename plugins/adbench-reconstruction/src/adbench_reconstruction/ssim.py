"""The structural similarity of images (Wang, Bovik, Sheikh and Simoncelli, 2004), place by place.

    SSIM = (2 m_x m_y + c_1) (2 s_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (s_x^2 + s_y^2 + c_2))

with means m, variances s^2 and covariance s_xy in a Gaussian window of sigma 1.5 around each place, c_1 = (0.01 R)^2
and c_2 = (0.03 R)^2 for values that span R. It is scikit-image's with ``gaussian_weights=True`` and
``use_sample_covariance=False``. Beyond the border the edge goes on (replicate padding); scikit-image reflects it, so
that the two differ in a margin of half a window, and only there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SIGMA = 1.5
K1, K2 = 0.01, 0.03


def similarity(left: Tensor, right: Tensor, window: int, span: float) -> Tensor:
    """The SSIM of each channel at each place, [B, C, H, W] from -1 to 1, in the type of the images.

    Args:
        left: [B, C, H, W].
        right: the same.
        window: side of the window in places, odd.
        span: R, what the values span: 1 for images from 0 to 1.
    """
    import torch

    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    batch = len(left)
    means = _blurred(torch.cat([left, right, left * left, right * right, left * right]), window)
    mean_l, mean_r, square_l, square_r, product = torch.split(means, batch)
    both = mean_l * mean_r
    squares = mean_l * mean_l + mean_r * mean_r
    similar: Tensor = ((2 * both + c1) * (2 * (product - both) + c2)) / (
        (squares + c1) * (square_l + square_r - squares + c2)
    )
    return similar


def _blurred(images: Tensor, window: int) -> Tensor:
    """Each channel blurred by the Gaussian, rows and then columns; the edge value continues beyond the border."""
    import torch
    from torch.nn.functional import conv2d, pad

    if torch.compiler.is_exporting():  # ONNX Runtime has no convolution in double precision
        down, across = (blurring(size, window // 2, images) for size in images.shape[2:])
        return down @ images @ across.T
    reach, (batch, channels, height, width) = window // 2, images.shape
    weights = _gaussian(images, reach)
    rows = images.reshape(batch * channels, 1, height, width)
    rows = conv2d(pad(rows, (0, 0, reach, reach), mode="replicate"), weights[None, None, :, None])
    columns = conv2d(pad(rows, (reach, reach, 0, 0), mode="replicate"), weights[None, None, None, :])
    blurred: Tensor = columns.reshape(images.shape)
    return blurred


def blurring(size: int, reach: int, like: Tensor) -> Tensor:
    """[size, size]: the Gaussian along one axis as a matrix, the edge going on beyond the border; for exports."""
    import torch
    from torch.nn.functional import one_hot

    places = torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)
    taken = one_hot(places.clamp(0, size - 1), size).to(like.dtype)
    return (_gaussian(like, reach)[:, None] * taken).sum(1)


def _gaussian(like: Tensor, reach: int) -> Tensor:
    """The Gaussian kernel [2 reach + 1], with sum 1."""
    import torch

    offsets = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()
