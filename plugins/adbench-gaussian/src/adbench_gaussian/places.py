"""One Gaussian for each place of the patch grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adbench.banks import require_room
from adbench_gaussian.gaussians import BLOCK, Form, Gaussians, squared_lengths
from adbench_gaussian.stream import require_grid

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PlaceGaussians(Gaussians):
    """PaDiM's distributions (arXiv 2011.08785, section III-B).

    Attributes:
        means: [H, W, R] float32.
        matrices: [H, W, R, R] float32.
        form: what the matrices are.
        channels: [R] int64: the channels of a patch that the Gaussians are over; None for all, in order.
        width: C, how many channels a patch has.
    """

    means: Tensor
    matrices: Tensor
    form: Form = "factor"
    channels: Tensor | None = None
    width: int = 0

    def nearest(self, patches: Tensor, who: str) -> tuple[Tensor, Tensor]:
        import torch

        require_grid(tuple(patches.shape[1:3]), tuple(self.means.shape[:2]), who)
        images, places, size = len(patches), self.means[..., 0].numel(), self.means.shape[-1]
        means, matrices = self.means.reshape(places, size), self.matrices.reshape(places, size, size)
        rows = patches.to(means).flatten(1, 2)
        squared = rows.new_empty(images, places)
        height = max(1, BLOCK // (images * size))
        for start in range(0, places, height):
            part = slice(start, start + height)
            offsets = (self._chosen(rows[:, part]) - means[part]).transpose(0, 1)
            squared[:, part] = squared_lengths(offsets, matrices[part], self.form).T
        index = torch.arange(places, device=squared.device).expand(images, places)
        return squared.reshape(patches.shape[:3]), index.reshape(patches.shape[:3])

    def modes(self, patches: Tensor, place: tuple[int, int]) -> tuple[Tensor, Tensor]:
        matrix = self.matrices[place]
        offset = self._chosen(patches[place].to(self.means)) - self.means[place]
        return offset, matrix if self.form == "precision" else matrix @ matrix.T

    def mean(self) -> Tensor:
        """The means; zero in channels that were not chosen, because the precision ignores them."""
        if self.channels is None:
            return self.means
        mean = self.means.new_zeros(*self.means.shape[:2], self.width)
        mean[..., self.channels] = self.means
        return mean

    def precision(self) -> Tensor:
        """The precisions; zero in channels that were not chosen.

        Raises:
            UsageError: it needs more memory than is free.
        """
        width = self.width or self.means.shape[-1]
        require_room(
            4 * self.means[..., 0].numel() * width * (width + 1),
            "the inverse covariances of all places over all channels",
            "use the scorer 'mahalanobis', which needs only what the bank holds",
            str(self.means.device),
        )
        own = self.matrices if self.form == "precision" else self.matrices @ self.matrices.transpose(-1, -2)
        if self.channels is None:
            return own
        precision = own.new_zeros(*own.shape[:2], width, width)
        for line, several in zip(precision, own, strict=True):  # a line of the grid at a time: indexing makes copies
            line[:, self.channels[:, None], self.channels] = several
        return precision

    def for_export(self) -> PlaceGaussians:
        from adbench_gaussian.recordable import RecordablePlaces

        return RecordablePlaces(self.means, self.matrices, self.form, self.channels, self.width)

    def tensors(self) -> dict[str, Tensor]:
        import torch

        everything = {"means": self.means, "matrices": self.matrices}
        if self.channels is not None:
            everything |= {"channels": self.channels, "width": torch.tensor(self.width)}
        return everything

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> PlaceGaussians:
        """The Gaussians from the output of `tensors`."""
        width = int(tensors["width"]) if "width" in tensors else 0
        return cls(tensors["means"], tensors["matrices"], "factor", tensors.get("channels"), width)

    def _chosen(self, rows: Tensor) -> Tensor:
        return rows if self.channels is None else rows.index_select(-1, self.channels)
