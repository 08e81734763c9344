"""The bank of patch vectors with their places in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench import AlignedBank, DataError
from adbench_memory.collect import patch_at
from adbench_memory.layered import LayeredMemory

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, FeatureStream
    from adbench.comparisons import NormalPatch


class Aligned(LayeredMemory, AlignedBank):
    """All patch vectors of the normal images, at their places, with the image vectors: RAD's bank (arXiv 2601.22763).

    4 H W C bytes an image, over all layers; refused before it is built where that is more than the memory that is free.
    """

    name: ClassVar[str] = "aligned"
    plain: ClassVar[bool] = True
    way_out: ClassVar[str] = "use fewer training images, smaller ones, or fewer layers"

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Keep all vectors of the stream.

        Raises:
            DataError: there is no image, or patch grids differ.
            UsageError: the vectors would need more memory than is free.
        """
        super().fit(features, ctx)
        if self.learned.grid is None:
            self._learned = None
            raise DataError(f"{self.title} needs images that all have the same patch grid; resize them to one size")

    @property
    def vectors(self) -> Tensor:
        learned = self.learned
        assert learned.grid is not None  # or fit would have refused
        return learned.collection.vectors.view(len(learned.collection.ids), *learned.grid, -1)

    def patch(self, image: int, place: tuple[int, int]) -> NormalPatch:
        """The normal patch at a place of an image, an index into `vectors`."""
        return patch_at(self.learned.collection.ids, image, place, self.vectors.shape[1:3])

    @property
    def images(self) -> Tensor | None:
        """[N, D] float32 image vectors, in the order of `vectors`; None if the backbone gives none."""
        return self.learned.images
