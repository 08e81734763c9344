"""The scorer by the mean exemplar of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import Component, Field
from adbench_clip.few_shot.class_logits import TEMPERATURE, ClassScorer, classes_of
from adbench_clip.few_shot.exemplar_bank import ExemplarBank

if TYPE_CHECKING:
    from torch import Tensor


class ClassMean(ClassScorer):
    """A class is as similar as the mean of its exemplars (Snell et al., Prototypical Networks, arXiv 1703.05175).

    The logit of a class is the cosine similarity to the mean of its unit vectors, divided by the temperature; the paper
    takes distances in a space that was trained for them.
    """

    name = "class-mean"

    class Config(Component.Config):
        temperature: float = Field(TEMPERATURE, gt=0, description="by which similarities are divided")

    config: Config

    def logits(self, vectors: Tensor, bank: ExemplarBank) -> Tensor:
        import torch
        from torch.nn.functional import normalize

        means = torch.stack([bank.vectors[bank.classes == one].mean(0) for one in classes_of(bank)])
        return vectors @ normalize(means, dim=1).T / self.config.temperature
