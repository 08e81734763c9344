"""The scorer that compares every patch and the image with the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adbench import Bank, Component, Features, Field, PrototypeBank, Scorer, Scores
from adbench_clip.contrast import TEMPERATURE, abnormality


class PromptContrast(Scorer):
    """The probability of the abnormal prompts, for each patch and for the image as a whole (WinCLIP, Eq. 1).

    Patches have to be in the space of text: ``clip:patches=text``, best by the last block's value path.
    """

    name = "prompt-contrast"
    plain = True
    bank: ClassVar[type[Bank]] = PrototypeBank  # type: ignore[type-abstract]
    needs = frozenset({"patches", "image"})

    class Config(Component.Config):
        temperature: float = Field(
            TEMPERATURE, gt=0, description="by which similarities are divided; CLIP ends at 0.01"
        )

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The scorer's own image score. There is no default bank: the user names the prompts and their model."""
        return {"aggregate": "scorer"}

    def score(self, query: Features, bank: PrototypeBank) -> Scores:
        patches, image = query.need_patches(self.title), query.need_image(self.title)
        temperature = self.config.temperature
        return Scores(
            abnormality(patches, bank, temperature, self.title), abnormality(image, bank, temperature, self.title)
        )
