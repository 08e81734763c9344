"""Means and covariances of many sets of vectors, in one pass over them.

With a shift a near the mean, z = x - a, n vectors and d = mean(z):

    sum of (x - mean)(x - mean)^T  =  sum of z z^T  -  n d d^T

*How exact.* A product in single precision sums n terms z_i z_j, in any order, with an error of at most
(n + 2) u sum |z_i z_j|, u = 2^-24, which by Cauchy and Schwarz is at most (n + 2) u sqrt(S_ii S_jj) for S_ii, the sum
of z_i^2. S_ii is (n - 1) var_i + n d_i^2. So an entry of the covariance is wrong by at most (n + 2) u
sqrt(r_i r_j var_i var_j), r = n / (n - 1) (1 + d^2 / var): the textbook's cancellation, which grows with the mean's
square, becomes one that grows with that of the shift's distance d from the mean. Where the shift is the mean of b of
these n vectors, r is at most about n / b, as those b alone add b d^2 to n var.
`tests/test_moments.py` holds the bound against sums in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Moments:
    """Sums of P sets of vectors of length C.

    Args:
        shift: [P, C] float32, near the means.
        dtype: of the sums of products [P, C, C]; what is added is computed in single precision.

    Attributes:
        count: vectors in each set.
        products: sums of z z^T; whoever needs the covariances no more may use the memory.
    """

    def __init__(self, shift: Tensor, dtype: torch.dtype) -> None:
        import torch

        self.shift, self.count = shift, 0
        self.sums = torch.zeros_like(shift, dtype=torch.float64)
        self.products = torch.zeros(*shift.shape, shift.shape[-1], dtype=dtype, device=shift.device)

    def add(self, rows: Tensor) -> None:
        """Take in n more vectors of each set: [P, n, C] float32."""
        import torch

        z = rows - self.shift[:, None]
        self.count += z.shape[1]
        self.sums += z.sum(1)
        if self.products.dtype == z.dtype:
            self.products.baddbmm_(z.transpose(1, 2), z)
        else:
            self.products += torch.bmm(z.transpose(1, 2), z)

    def mean(self) -> Tensor:
        """[P, C] float64; the shift where there are no vectors."""
        return self.shift.double() + self.sums / max(1, self.count)

    def scatter(self, part: slice = slice(None)) -> Tensor:
        """[p, C, C] float64 for a part of the sets: sums of (x - mean)(x - mean)^T."""
        import torch

        z, products = self.sums[part], self.products[part].double()
        return torch.baddbmm(products, z[:, :, None], z[:, None, :], alpha=-1 / max(1, self.count))

    def covariance(self, part: slice = slice(None)) -> Tensor:
        """[p, C, C] float64, divided by n - 1; zero for a single vector."""
        return self.scatter(part).div_(max(1, self.count - 1))
