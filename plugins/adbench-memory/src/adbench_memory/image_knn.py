"""The scorer by nearest neighbours of whole images, each as one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Scorer, Scores, Source
from adbench_memory.images import ImageVectors
from adbench_memory.neighbours import NeighbourConfig

if TYPE_CHECKING:
    from adbench import Features


class ImageKnn(Scorer):
    """An image's score is the mean distance of its vector to the k nearest of normal images; there is no map.

    Bergman, Cohen and Hoshen, "Deep nearest neighbor anomaly detection" (arXiv 2002.10445).
    """

    name: ClassVar[str] = "image-knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = ImageVectors
    needs: ClassVar[frozenset[str]] = frozenset({"image"})

    class Config(NeighbourConfig):
        """Options."""

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": {ImageVectors.name: {}}, "aggregate": "scorer"}

    def score(self, query: Features, bank: Bank) -> Scores:
        assert isinstance(bank, ImageVectors)
        own = query.ids if bank.learns_from is Source.TEST else None
        vectors = query.need_image(self.title)
        distances, _ = bank.search(vectors, self.config.k, self.config.metric, exclude=own)
        return Scores(image=self.config.mean(distances))
