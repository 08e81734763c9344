"""The Gaussians of any `GaussianBank`, also of other packages."""

from __future__ import annotations

from adbench import GaussianBank
from adbench_gaussian.clusters import ClusterGaussians
from adbench_gaussian.gaussians import GaussianMemory, Gaussians
from adbench_gaussian.places import PlaceGaussians


def gaussians_of(bank: GaussianBank) -> Gaussians:
    """The Gaussians of a bank: one for each place, several, or a single one."""
    if isinstance(bank, GaussianMemory):
        return bank.gaussians
    mean, precision = bank.mean.float(), bank.precision.float()
    if mean.ndim == 3:
        return PlaceGaussians(mean, precision, form="precision")
    size = mean.shape[-1]
    return ClusterGaussians(mean.reshape(-1, size), precision.reshape(-1, size, size), form="precision")
