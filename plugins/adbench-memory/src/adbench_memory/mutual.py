"""The scorer that compares the images of a test set with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Field, Scorer, Scores, UsageError, VectorBank
from adbench_memory.grids import layer_slices, side_by_side
from adbench_memory.layered import LayeredMemory

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features

BLOCK, DEVICE_BLOCK = 1 << 20, 1 << 26
"""Elements of a matrix of distances: what a CPU caches, what keeps a GPU busy."""


class Mutual(Scorer):
    """How far a patch is from the images that it is nearest to, averaged over the layers: MuSc's mutual scoring.

    MuSc (arXiv 2401.16753; xrli-U/MuSc, ``_MSM.py``): of each other image, the nearest patch; of these
    Euclidean distances, the mean of the lowest ``int(share (N - 1))``, here of at least one, where the authors' code
    divides by nothing. An image is never compared with itself.

    A matrix product finds the nearest patch of an image, whose distance is then measured directly.
    """

    name: ClassVar[str] = "mutual"
    bank: ClassVar[type[Bank]] = VectorBank  # type: ignore[type-abstract]

    class Config(Component.Config):
        """Options."""

        share: float = Field(0.3, gt=0, le=1, description="part of the other images that counts, the nearest ones")

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The bank `test-set`, and the highest patch as image score."""
        return {"bank": {"test-set": {}}, "aggregate": "max"}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores [B, H, W].

        Raises:
            UsageError: there is no other image in the bank.
        """
        import torch

        assert isinstance(bank, VectorBank)
        grid, widths = self._query_grid(query, bank)
        owners = _rows_by_owner(bank.owners)
        total = torch.zeros(grid.shape[:3], device=grid.device)
        for channels in layer_slices(widths):
            asked = grid[..., channels].flatten(0, 2)
            distances = [_to_nearest(asked, bank.vectors[rows, channels]) for rows in owners.values()]
            total += self._means(torch.stack(distances).view(-1, *grid.shape[:3]), query.ids, list(owners))
        return Scores(total / len(widths))

    def _query_grid(self, query: Features, bank: VectorBank) -> tuple[Tensor, tuple[int, ...]]:
        """The query's vectors in the form of the bank's vectors [B, H, W, C], and the channels of each layer."""
        if isinstance(bank, LayeredMemory):
            return bank.query_grid(query), bank.widths
        grid, widths = side_by_side(query, "patches", self.title)
        return grid.to(bank.vectors.device), widths

    def _means(self, distances: Tensor, asked: Sequence[str], owners: Sequence[str]) -> Tensor:
        """The mean distances [B, H, W], from the distances [N, B, H, W] of the images `asked` to those of `owners`."""
        import torch

        means = []
        for place, name in enumerate(asked):
            others = [number for number, owner in enumerate(owners) if owner != name]
            if not others:
                raise UsageError(
                    f"{self.title} compares an image with others, but {name!r} is alone; test on more images"
                )
            nearest = distances[others, place].topk(max(1, int(self.config.share * len(others))), dim=0, largest=False)
            means.append(nearest.values.mean(0))
        return torch.stack(means)


def _rows_by_owner(owners: Sequence[str]) -> dict[str, slice | list[int]]:
    """The rows of each image in the bank; a slice, which copies nothing, if they are contiguous."""
    rows: dict[str, list[int]] = {}
    for row, owner in enumerate(owners):
        rows.setdefault(owner, []).append(row)
    return {
        owner: slice(found[0], found[-1] + 1) if found[-1] - found[0] + 1 == len(found) else found
        for owner, found in rows.items()
    }


def _to_nearest(asked: Tensor, known: Tensor) -> Tensor:
    """Euclidean distances [Q] float32 of vectors [Q, C] to the nearest of [K, C]."""
    import torch

    centre = known.mean(0)  # what all have in common would cost digits
    rows = known - centre
    own = rows.square().sum(1)
    found, block = [], BLOCK if known.device.type == "cpu" else DEVICE_BLOCK
    for part in torch.split(asked, max(1, block // len(known))):
        nearest = torch.addmm(own, part - centre, rows.T, alpha=-2).argmin(1)
        found.append(torch.linalg.vector_norm(part - known[nearest], dim=1))
    return torch.cat(found)
