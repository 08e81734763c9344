"""Gaussians of clusters of patches, at any place of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from adbench.search import ExactIndex
from adbench_gaussian.gaussians import BLOCK, Form, Gaussians, squared_lengths

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Axes:
    """An affine map of patches to the space of the Gaussians, z = (x - center) basis.

    Attributes:
        center: [C] float32.
        basis: [C, R] float32 with orthogonal columns, of any length.
    """

    center: Tensor
    basis: Tensor

    def into(self, rows: Tensor) -> Tensor:
        """The rows [N, C] on the axes, [N, R]."""
        return (rows - self.center) @ self.basis

    def back(self, means: Tensor) -> Tensor:
        """Points of the space as patches [K, C], by the pseudo-inverse of the basis, whose columns are orthogonal."""
        return self.center + (means / self.basis.square().sum(0)) @ self.basis.T


@dataclass(frozen=True)
class ClusterGaussians(Gaussians):
    """K distributions; a patch belongs to the one that it is nearest to.

    Attributes:
        means: [K, R] float32.
        matrices: [K, R, R] float32; None where all Gaussians are spheres of radius 1, as a common covariance leaves
            them once the axes are scaled by it. Then the search is that of an `ExactIndex`.
        form: what the matrices are.
        axes: how patches get into that space; None if they are there.
    """

    means: Tensor
    matrices: Tensor | None = None
    form: Form = "factor"
    axes: Axes | None = None

    def nearest(self, patches: Tensor, who: str) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - any grid will do
        import torch

        rows = patches.to(self.means).flatten(0, 2)
        found = [self._nearest(part) for part in self._parts(rows)]
        squared, index = (torch.cat(parts).reshape(patches.shape[:3]) for parts in zip(*found, strict=True))
        return squared, index

    def around(self, rows: Tensor, known: Tensor, count: int) -> Tensor:
        """Squared distances of patches to the Gaussians around their nearest ones.

        Args:
            rows: [B, C].
            known: [B] the Gaussians that they are nearest to.
            count: of Gaussians: the known one, then those whose means are nearest to its mean, as itself measures.

        Returns:
            [B, count], fewer where there are fewer Gaussians. The known one comes first.
        """
        import torch

        rows = self._mapped(rows.to(self.means))
        count = min(count, len(self.means))
        between = torch.stack([self._lengths(self.means - self.means[one], one) for one in known.tolist()])
        between.scatter_(1, known[:, None], -1)  # it comes first, also among twins
        near = between.sort(dim=1, stable=True).indices[:, :count]
        found = [
            [self._lengths((row - self.means[one])[None], one)[0] for one in several]
            for row, several in zip(rows, near.tolist(), strict=True)
        ]
        return torch.stack([torch.stack(distances) for distances in found])

    def modes(self, patches: Tensor, place: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Where all Gaussians are spheres on scaled axes, the offset is that before the scaling."""
        import torch

        row = patches[place].to(self.means)[None]
        one = int(self._nearest(row)[1])
        offset = (self._mapped(row) - self.means[one])[0]
        if self.matrices is not None:
            matrix = self.matrices[one]
            return offset, matrix if self.form == "precision" else matrix @ matrix.T
        lengths = torch.ones_like(offset) if self.axes is None else self.axes.basis.norm(dim=0)
        return offset / lengths, lengths.square()

    def mean(self) -> Tensor:
        return self.means if self.axes is None else self.axes.back(self.means)

    def precision(self) -> Tensor:
        """The precision of each Gaussian; a common one is repeated without a copy."""
        import torch

        common, size = self.matrices is None, self.means.shape[-1]
        own = torch.eye(size).to(self.means)[None] if self.matrices is None else self.matrices
        if self.form == "factor":
            own = own @ own.transpose(-1, -2)
        if self.axes is not None:
            own = self.axes.basis @ own @ self.axes.basis.T
        return own.expand(len(self.means), -1, -1) if common else own

    def for_export(self) -> ClusterGaussians:
        from adbench_gaussian.recordable import RecordableClusters

        return RecordableClusters(self.means, self.matrices, self.form, self.axes)

    def tensors(self) -> dict[str, Tensor]:
        everything = {"means": self.means}
        if self.matrices is not None:
            everything["matrices"] = self.matrices
        if self.axes is not None:
            everything |= {"center": self.axes.center, "basis": self.axes.basis}
        return everything

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> ClusterGaussians:
        """The Gaussians from the output of `tensors`."""
        axes = Axes(tensors["center"], tensors["basis"]) if "basis" in tensors else None
        return cls(tensors["means"], tensors.get("matrices"), "factor", axes)

    def _nearest(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        rows = self._mapped(rows)
        if self.matrices is None:
            distances, index = self._search.search(rows, 1)
            return distances[:, 0].square_(), index[:, 0]
        best, index = self._lengths(rows - self.means[0], 0), torch.zeros(len(rows), dtype=torch.int64).to(rows.device)
        for one in range(1, len(self.means)):
            squared = self._lengths(rows - self.means[one], one)
            nearer = squared < best
            best, index = torch.where(nearer, squared, best), torch.where(nearer, one, index)
        return best, index

    def _lengths(self, offsets: Tensor, one: int) -> Tensor:
        """[N] squared lengths of offsets [N, R] from the mean of one of the Gaussians."""
        if self.matrices is None:
            return offsets.square().sum(-1)
        return squared_lengths(offsets[None], self.matrices[one : one + 1], self.form)[0]

    def _mapped(self, rows: Tensor) -> Tensor:
        return rows if self.axes is None else self.axes.into(rows)

    def _parts(self, rows: Tensor) -> Iterator[Tensor]:
        height = max(1, BLOCK // max(rows.shape[1], self.means.shape[1]))
        for start in range(0, len(rows), height):
            yield rows[start : start + height]

    @cached_property
    def _search(self) -> ExactIndex:
        return ExactIndex(self.means, "l2")
