"""The scorer that compares an image with the patches of the normal images most similar to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Field, Scorer, Scores
from adbench.comparisons import PatchComparison, compare_with_vector
from adbench_memory.gallery import Gallery

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features


class GalleryKnn(Scorer):
    """SPADE (Cohen and Hoshen, arXiv 2005.02357): the nearest images, then the nearest of their patches.

    The image's score is the mean distance of its vector to the nearest image vectors; a patch's is the mean distance to
    the k nearest of all patches of these images, wherever they lie. Patches outside the foreground score 0.
    """

    name: ClassVar[str] = "gallery-knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = Gallery
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "image"})

    class Config(Component.Config):
        """Options."""

        images: int = Field(
            50, ge=1, description="images to search in, the nearest by image vector (K in the paper); all if fewer"
        )
        k: int = Field(1, ge=1, description="patches whose distances are averaged (kappa in the paper)")
        squared: bool = Field(False, description="square distances before they are averaged, of images and patches")

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": {Gallery.name: {}}, "aggregate": "scorer"}

    def score(self, query: Features, bank: Bank) -> Scores:
        import torch

        assert isinstance(bank, Gallery)
        patches = query.need_patches(self.title)
        distances, images = bank.similar(query.need_image(self.title), self.config.images)
        found = [
            self._mean(bank.search_in(some, grid.flatten(0, 1), self.config.k)).reshape(grid.shape[:2])
            for some, grid in zip(images, patches, strict=True)
        ]
        scores = torch.stack(found)
        if query.foreground is not None:
            scores = scores * query.foreground.to(scores.device)
        return Scores(scores, self._mean(distances))

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        """The comparison with the nearest patch of the nearest images; the image score is not explained."""
        assert isinstance(bank, Gallery)
        row = query.need_patches(self.title)[0][place]
        _, images = bank.similar(query.need_image(self.title), self.config.images)
        distance, vector, nearest = bank.nearest_in(images[0], row)
        return compare_with_vector(row, vector, distance, nearest)

    def _mean(self, distances: Tensor) -> Tensor:
        """The means [Q] of distances [Q, k]."""
        return (distances.square() if self.config.squared else distances).mean(1)
