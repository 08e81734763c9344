"""The scorer by the most similar exemplar of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import Component, Field
from adbench_clip.few_shot.class_logits import TEMPERATURE, ClassScorer, classes_of
from adbench_clip.few_shot.exemplar_bank import ExemplarBank

if TYPE_CHECKING:
    from torch import Tensor


class MaxExemplarScorer(ClassScorer):
    """A class is as similar as its most similar exemplar (Megahed et al., arXiv 2501.12596).

    The logit of a class is the highest cosine similarity to any of its exemplars, divided by the temperature.
    """

    name = "max-exemplar"

    class Config(Component.Config):
        temperature: float = Field(TEMPERATURE, gt=0, description="by which similarities are divided")

    config: Config

    def logits(self, vectors: Tensor, bank: ExemplarBank) -> Tensor:
        import torch

        similar = vectors @ bank.vectors.T
        best = [similar[:, bank.classes == one].amax(1) for one in classes_of(bank)]
        return torch.stack(best, 1) / self.config.temperature
