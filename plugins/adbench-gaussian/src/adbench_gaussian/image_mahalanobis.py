"""The scorer of whole images by Mahalanobis distance, without an anomaly map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, GaussianBank, Scorer, Scores
from adbench_gaussian.reading import gaussians_of

if TYPE_CHECKING:
    from adbench import Features


class ImageMahalanobis(Scorer):
    """An image's score is the Mahalanobis distance of its vector to the nearest Gaussian; there is no anomaly map.

    The image's vector comes as its only patch, which the neck ``image-vector`` makes (Rippel, Mertens and Merhof, 2020,
    https://arxiv.org/abs/2005.14140). Of several patches the highest counts.
    """

    name: ClassVar[str] = "image-mahalanobis"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = GaussianBank  # type: ignore[type-abstract]
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    config: Component.Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """One Gaussian of all images' vectors."""
        return {"neck": ["image-vector"], "bank": {"prototypes": {"count": 1}}, "aggregate": "scorer"}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Image scores [B] float32.

        Raises:
            DataError: the bank has a Gaussian for each place, and the patches are on another grid.
        """
        assert isinstance(bank, GaussianBank)
        squared, _ = gaussians_of(bank).nearest(query.need_patches(self.title), self.title)
        return Scores(image=squared.amax(dim=(1, 2)).sqrt().float())
