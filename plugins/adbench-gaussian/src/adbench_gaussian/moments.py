"""Means and covariances of many sets of vectors, in one pass over them.

With a shift a near the mean, z = x - a, n vectors and d = mean(z):

    sum of (x - mean)(x - mean)^T  =  sum of z z^T  -  n d d^T

Sums are in double precision, and the shift is the mean of the first vectors: what cancels is no larger than what the
first vectors are off the mean by. Sums in single precision would not do: an inverse is as many times less exact than
the covariance as its eigenvalues differ by, and PaDiM's differ by 10^4 and more, as its places see fewer images than
there are channels. `tests/test_moments.py` has such a case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BLOCK = 1 << 21
"""Elements of a temporary in double precision."""


class Moments:
    """Sums of P sets of vectors of length C.

    The sums of products are larger than the vectors as long as these are fewer than 2 C. So vectors are held back until
    there are `patience` in each set; if there never are, covariances are computed from them as they are asked for.

    Args:
        shift: [P, C] float32, near the means.
        patience: vectors of each set that are held back.

    Attributes:
        count: vectors that have come by in each set.
    """

    def __init__(self, shift: Tensor, patience: int = 1) -> None:
        import torch

        self.count = 0
        self._shift, self._patience = shift, patience
        self._sums = torch.zeros_like(shift, dtype=torch.float64)
        self._products: Tensor | None = None
        self._held: list[Tensor] = []

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers P of sets and C of channels."""
        return self._shift.shape[0], self._shift.shape[1]

    @property
    def device(self) -> torch.device:
        return self._shift.device

    def add(self, rows: Tensor) -> None:
        """Add n vectors to each set: [n, P, C] float32, which must not change afterwards."""
        self.count += len(rows)
        self._held.append(rows)
        if sum(map(len, self._held)) >= self._patience:
            self._sum_up()

    def mean(self) -> Tensor:
        """The means [P, C] float64; the shift if there are no vectors."""
        sums = self._sums + sum(rows.sum(0, dtype=self._sums.dtype) - len(rows) * self._shift for rows in self._held)
        return self._shift.double() + sums / max(1, self.count)

    def scatter(self, part: slice = slice(None)) -> Tensor:
        """The scatter matrices [p, C, C] float64 of some sets: sums of (x - mean)(x - mean)^T."""
        import torch

        z = self._held_back(part)
        sums = self._sums[part] + z.sum(1)
        products = torch.bmm(z.transpose(1, 2), z)
        if self._products is not None:
            products += self._products[part]
        return products.baddbmm_(sums[:, :, None], sums[:, None, :], alpha=-1 / max(1, self.count))

    def covariance(self, part: slice = slice(None)) -> Tensor:
        """The covariances [p, C, C] float64: scatter divided by n - 1; zero for a single vector."""
        return self.scatter(part).div_(max(1, self.count - 1))

    def parts(self) -> Iterator[slice]:
        """Slices of all sets, a few at a time, so that each computation needs little memory."""
        sets, size = self._shift.shape
        height = max(1, BLOCK // (size * max(size, sum(map(len, self._held)))))
        yield from (slice(start, min(start + height, sets)) for start in range(0, sets, height))

    def _sum_up(self) -> None:
        """Add the waiting vectors to the sums, and release them."""
        import torch

        if self._products is None:
            self._products = self._sums.new_zeros(*self._shift.shape, self._shift.shape[-1])
        for part in self.parts():
            z = self._held_back(part)
            self._sums[part] += z.sum(1)
            self._products[part] = torch.baddbmm(self._products[part], z.transpose(1, 2), z)
        self._held.clear()

    def _held_back(self, part: slice) -> Tensor:
        """The waiting vectors of some sets, relative to the shift: [p, n, C] float64."""
        import torch

        rows = torch.cat([self._shift[None, part][:0], *(rows[:, part] for rows in self._held)])
        return (rows.double() - self._shift[part]).transpose(0, 1)
