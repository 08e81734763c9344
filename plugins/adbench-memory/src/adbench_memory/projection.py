"""Random projections that keep distances: what makes greedy k-center cheaper on long vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def safe_dim(samples: int, eps: float) -> int:
    """Dimensions that keep all distances among `samples` points within 1 ± eps, with good probability.

    floor(4 ln n / (eps² / 2 - eps³ / 3)): Dasgupta and Gupta, "An elementary proof of a theorem of Johnson and
    Lindenstrauss" (2003).
    """
    return max(1, math.floor(4 * math.log(samples) / (eps**2 / 2 - eps**3 / 3)))


def gaussian_matrix(channels: int, dim: int, generator: torch.Generator) -> Tensor:
    """A matrix [channels, dim] of independent normal entries, scaled to keep lengths on average."""
    import torch

    return torch.randn(channels, dim, generator=generator) / math.sqrt(dim)


def linear_matrix(channels: int, dim: int, generator: torch.Generator) -> Tensor:
    """The weight of an untrained ``torch.nn.Linear`` without bias, transposed: [channels, dim].

    Uniform between ± 1 / sqrt(channels), which is what the official PatchCore code projects with. Lengths shrink on
    average by sqrt(dim / (3 channels)), all alike: a selection by distances is the same at any scale.
    """
    import torch

    bound = 1 / math.sqrt(channels)
    return torch.empty(dim, channels).uniform_(-bound, bound, generator=generator).T


def sparse_matrix(channels: int, dim: int, generator: torch.Generator) -> Tensor:
    """A matrix [channels, dim] with one non-zero entry in sqrt(channels), ± with equal odds, scaled to keep lengths.

    Li, Hastie and Church, "Very sparse random projections" (KDD 2006), as scikit-learn and anomalib draw it.
    """
    import torch

    density = 1 / math.sqrt(channels)
    draw = torch.rand(channels, dim, generator=generator)
    signs = (draw < density / 2).float() - (draw > 1 - density / 2).float()
    return signs / math.sqrt(density * dim)
