"""Gaussians whose distances are a fixed sequence of tensor operations, as an export needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.search import RecordableIndex
from adbench_gaussian.clusters import ClusterGaussians
from adbench_gaussian.places import PlaceGaussians
from adbench_gaussian.stream import require_grid

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_gaussian.gaussians import Form


class RecordablePlaces(PlaceGaussians):
    """`PlaceGaussians` measured in one batch of matrix products."""

    def nearest(self, patches: Tensor, who: str) -> tuple[Tensor, Tensor]:
        import torch

        require_grid(tuple(patches.shape[1:3]), tuple(self.means.shape[:2]), who)
        size = self.means.shape[-1]
        means, matrices = self.means.reshape(-1, size), self.matrices.reshape(-1, size, size)
        offsets = (self._chosen(patches.flatten(1, 2)) - means).transpose(0, 1)
        squared = _squared(offsets, matrices, self.form).T.reshape(patches.shape[:3])
        index = torch.arange(len(means)).expand(len(patches), -1).reshape(patches.shape[:3])
        return squared, index


class RecordableClusters(ClusterGaussians):
    """`ClusterGaussians` that are all measured for each patch."""

    def nearest(self, patches: Tensor, who: str) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - any grid will do
        rows = self._mapped(patches.flatten(0, 2))
        if self.matrices is None:
            distances, index = RecordableIndex(self.means).search(rows, 1)
            squared, index = distances[:, 0].square(), index[:, 0]
        else:
            squared, index = self._all_of(rows).min(0)
        return squared.reshape(patches.shape[:3]), index.reshape(patches.shape[:3])

    def around(self, rows: Tensor, known: Tensor, count: int) -> Tensor:
        between = self._between(known).scatter(1, known[:, None], -1.0)  # it comes first, also among twins
        near = between.topk(min(count, len(self.means)), dim=1, largest=False).indices
        return self._all_of(self._mapped(rows)).T.gather(1, near)

    def _between(self, known: Tensor) -> Tensor:
        """[B, K] squared distances of all means from those of the Gaussians `known` [B], as these measure."""
        offsets = self.means[None] - self.means.index_select(0, known)[:, None]
        if self.matrices is None:
            return offsets.square().sum(-1)
        return _squared(offsets, self.matrices.index_select(0, known), self.form)

    def _all_of(self, rows: Tensor) -> Tensor:
        """[K, N] squared distances of rows [N, R] to all Gaussians."""
        offsets = rows[None] - self.means[:, None]
        return offsets.square().sum(-1) if self.matrices is None else _squared(offsets, self.matrices, self.form)


def _squared(offsets: Tensor, matrices: Tensor, form: Form) -> Tensor:
    """[P, n] squared distances for offsets [P, n, R] from the means of P Gaussians with matrices [P, R, R]."""
    product = offsets @ matrices
    return (product * offsets).sum(-1).clamp(min=0) if form == "precision" else product.square().sum(-1)
