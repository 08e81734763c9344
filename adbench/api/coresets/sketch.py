"""Short sketches of vectors that bound the distances between them from below.

A projection onto orthonormal directions never lengthens: |B'x - B'c| <= |x - c|. The directions are the principal ones,
so that little is lost. All bounds hold for the computed numbers, in any order of summation. With unit roundoff u, C
channels, P directions, and x, c relative to the data's mean:

- A sketch is off by at most eps |x|, eps = sqrt(P) (C + 4) u: its P entries are dot products of length C.
- The computed directions lengthen squares by at most 1 + |B'B - 1|, which is measured.
- So |sketch(x) - sketch(c)|^2 <= (1 + eps) (1 + |B'B - 1|) |x - c|^2 + 2 eps (1 + eps) (|x|^2 + |c|^2), from
  (a + b)^2 <= (1 + eps) a^2 + (1 + 1 / eps) b^2.
- |s|^2 - 2 s.t + |t|^2 for two sketches is off by at most (2 P + 8) u (|s|^2 + |t|^2).
- The plain sum of (x - c)^2 is off by at most (C + 3) u of itself.

`Sketches.own` takes off what grows with |x|^2 and |c|^2, `Sketches.growth` what grows with the distance, rounded up.
For whole vectors in place of sketches both forms together differ by (4 C + 12) u (|x|^2 + |c|^2): (2 C + 4) for the
direct form, as |x - c|^2 <= 2 (|x|^2 + |c|^2), 4 for the subtraction of the mean, and (2 C + 4) for the product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SAMPLE = 4096  # vectors that the principal directions are computed from
SHORTER = 8
BLOCK = 1 << 20  # elements of a block of centered vectors


@dataclass(frozen=True)
class Sketches:
    """Sketches of N vectors.

    Attributes:
        mean: [C] of the vectors.
        rows: [N, P] the sketches.
        squares: [N] squared norms of the vectors, relative to the mean.
        own: [N] the part of a bound that belongs to one vector: the sketch's squared norm less its error bound.
        growth: the divisor that makes it a bound.
    """

    mean: Tensor
    rows: Tensor
    squares: Tensor
    own: Tensor
    growth: float

    @classmethod
    def of(cls, vectors: Tensor) -> Sketches:
        """Sketches of the vectors [N, C] float32, an eighth of their length."""
        import torch

        channels = vectors.shape[1]
        width = max(1, channels // SHORTER)
        mean = vectors.mean(0)
        directions = _principal(vectors, mean, width)
        unit = _unit_roundoff()
        eps = math.sqrt(width) * (channels + 4) * unit
        error = 2.1 * eps + (2.1 * width + 16) * unit
        rows = vectors.new_empty(len(vectors), width)
        squares, own = rows.new_empty(len(rows)), rows.new_empty(len(rows))
        height = max(1, BLOCK // channels)
        for start in range(0, len(vectors), height):
            part = slice(start, start + height)
            block = vectors[part] - mean
            rows[part] = block @ directions
            squares[part] = block.mul_(block).sum(1)
            own[part] = rows[part].square().sum(1).sub_(squares[part], alpha=error)
        excess = float((directions.T @ directions - torch.eye(width).to(vectors)).norm())
        return cls(mean, rows, squares, own, (1 + eps) * (1 + excess) * (1 + (channels + 16) * unit))

    def lower_bounds(self, rows: Tensor, own: Tensor, others: Tensor) -> Tensor:
        """[M, K] bounds on the squared distances between M sketches and K vectors, given by index."""
        import torch

        scale = 1 / self.growth
        products = torch.addmm(
            self.own[others], rows, self.rows.index_select(0, others).T, beta=scale, alpha=-2 * scale
        )
        return products.add_(own[:, None], alpha=scale)

    def closer_bounds(self, rows: Tensor, some: Tensor, centers: Tensor, others: Tensor) -> Tensor:
        """The same from whole vectors, relative to the mean: `rows` [M, C] are `some` [M], `centers` are `others`."""
        import torch

        error = 1 - (4.1 * rows.shape[1] + 32) * _unit_roundoff()
        products = torch.addmm(self.squares[others], rows, centers.T, beta=error, alpha=-2)
        return products.add_(self.squares[some, None], alpha=error)


def _principal(vectors: Tensor, mean: Tensor, width: int) -> Tensor:
    """[C, width] orthonormal directions in which the vectors vary most, from an even sample."""
    import torch

    sample = vectors[:: math.ceil(len(vectors) / SAMPLE)] - mean
    directions: Tensor = torch.linalg.eigh(sample.T @ sample).eigenvectors
    return directions[:, -width:].contiguous()


def _unit_roundoff() -> float:
    """The unit roundoff of float32 products; that of bfloat16 where torch is set to a lower precision."""
    import torch

    return 2.0**-24 if torch.get_float32_matmul_precision() == "highest" else 2.0**-8
