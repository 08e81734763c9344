"""The scorer by the maps and image scores of anomalib's own model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Scorer, Scores
from adbench_anomalib.bank import Anomalib, on_patches

if TYPE_CHECKING:
    from adbench import Features


class AnomalibScores(Scorer):
    """A pixel's score is that of the model's map, and an image's score the model's own.

    Most models score an image by the highest pixel of its map; Dinomaly and INP-Former by the mean of the highest 1 %
    of a smoothed one, SuperSimpleNet by a head of its own, others by patches before their map was enlarged.
    """

    name: ClassVar[str] = "anomalib"
    bank: ClassVar[type[Bank]] = Anomalib

    class Config(Component.Config):
        """No options."""

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The bank, and the scorer's own image score."""
        return {"bank": "anomalib", "aggregate": "scorer", "map": {"upsample": "bilinear", "sigma": 0.0, "at": "input"}}

    def score(self, query: Features, bank: Any) -> Scores:
        """Scores of a batch: [B, H, W] on the pixels of the prepared images, or on the patches; and [B]."""
        answer = bank.answer(query)
        return Scores(on_patches(answer.maps, query), answer.scores)
