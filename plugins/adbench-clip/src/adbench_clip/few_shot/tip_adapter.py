"""The scorer of Tip-Adapter: text and a cache of labelled images, without training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Field, UsageError
from adbench_clip.few_shot.class_logits import TEMPERATURE, ClassScorer
from adbench_clip.few_shot.exemplars_prompts import ExemplarsPrompts

if TYPE_CHECKING:
    from torch import Tensor


class TipAdapter(ClassScorer):
    """Tip-Adapter without training (Zhang et al., ECCV 2022, arXiv 2111.03930, Eq. 1 to 4), of two classes.

    The logits are ``alpha * exp(-beta * (1 - f F^T)) L + f W^T / temperature``: f the image, F the exemplars, L their
    labels one-hot, W the text, all of unit length. All defects are one class, as the text describes them as one.
    """

    name = "tip-adapter"
    bank: ClassVar[type[Bank]] = ExemplarsPrompts

    class Config(Component.Config):
        alpha: float = Field(1.0, ge=0, description="weight of the exemplars beside the text")
        beta: float = Field(5.5, gt=0, description="sharpness of the similarity to exemplars")
        temperature: float = Field(TEMPERATURE, gt=0, description="by which similarities to text are divided")

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The scorer's own image score. There is no default bank: the user names the prompts' model."""
        return {"aggregate": "scorer"}

    def logits(self, vectors: Tensor, bank: ExemplarsPrompts) -> Tensor:
        import torch
        from torch.nn.functional import normalize, one_hot

        options = self.config
        text = normalize(torch.cat([bank.normal, bank.abnormal]).to(vectors), dim=1)
        if text.shape[1] != vectors.shape[1]:
            raise UsageError(
                f"{self.title}: the prompts of {bank.title} have {text.shape[1]} channels, and the image vector has"
                f" {vectors.shape[1]}; give backbone and bank one model"
            )
        affinity = (-options.beta * (1 - vectors @ bank.vectors.T)).exp()
        labels = one_hot((bank.classes > 0).long(), 2).to(vectors)
        return options.alpha * affinity @ labels + vectors @ text.T / options.temperature
