"""The scorer by the distances to the nearest normal patches and to the nearest normal image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Field, Scorer, Scores
from adbench.comparisons import PatchComparison, compare_with_nearest
from adbench_memory.neighbours import NeighbourConfig
from adbench_memory.two_scale import TwoScale

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features


PLACES = 32
"""Rows and columns of the mean patches of a bank that is not named: those of 256 x 256 pixels at a stride of 8."""


class TwoScaleKnn(Scorer):
    """A patch's score is its mean distance to its k nearest normal patches; the image score combines both scales.

    What is wrong in one place shows in a patch; what is wrong as a whole, such as another texture, in the image's
    vector. The image scores the weighted geometric mean of two distances: the mean of its highest patches, and its
    vector's mean distance to the k nearest normal images. Distances in different units can be averaged so: a factor
    before one of them moves all images alike, and nothing has to be calibrated. The patches weigh more, because the
    logarithm of an image's distance spreads two to seven times as wide over normal images as that of its patches.
    With `place_weight`, a patch's score is itself a weighted geometric mean, of that distance and of the distance from
    the mean patch of its place. Patches outside the foreground score 0.
    """

    name: ClassVar[str] = "two-scale-knn"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = TwoScale
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "image"})
    came_later: ClassVar[frozenset[str]] = frozenset({"place_weight"})

    class Config(NeighbourConfig):
        """Options."""

        fraction: float = Field(
            0.01, ge=0, le=1, description="share of the highest patches whose mean counts; 0 for the maximum, 1 for all"
        )
        weight: float = Field(
            0.8, ge=0, le=1, description="of the patches in the image score; the rest is the image vector's"
        )
        place_weight: float = Field(
            0.0, ge=0, lt=1, description="of the distance from the mean of its place in a patch's score; 0: none"
        )

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": {TwoScale.name: {"places": PLACES} if config.place_weight else {}}, "aggregate": "scorer"}

    def score(self, query: Features, bank: Bank) -> Scores:
        assert isinstance(bank, TwoScale)
        patches = query.need_patches(self.title)
        distances, _ = bank.search(patches.flatten(0, 2), self.config.k, self.config.metric)
        scores = self.config.mean(distances).reshape(patches.shape[:3])
        if place := self.config.place_weight:
            scores = scores ** (1 - place) * bank.place_means.distances(patches) ** place
        if query.foreground is not None:
            scores = scores * query.foreground.to(scores.device)
        whole = self.config.mean(bank.image_distances(query.need_image(self.title), self.config.k))
        return Scores(scores, self._highest(scores) ** self.config.weight * whole ** (1 - self.config.weight))

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        """The comparison of a patch; the whole image's vector is not explained."""
        assert isinstance(bank, TwoScale)
        return compare_with_nearest(query.need_patches(self.title)[0][place], bank, self.config.metric)

    def _highest(self, scores: Tensor) -> Tensor:
        """The mean [B] of each image's highest patch scores, ``int(fraction * N)`` of N and at least one."""
        flat = scores.flatten(1)
        return flat.topk(max(1, int(self.config.fraction * flat.shape[1])), dim=1).values.mean(1)
