"""The scorer of APRIL-GAN without its trained layers: it compares blocks with prompts and with normal images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Features, Field, PrototypeBank, Scorer, Scores
from adbench_clip.contrast import abnormality
from adbench_clip.prompts_few import PromptsFew

if TYPE_CHECKING:
    from torch import Tensor

TEXT = "text"


class AprilGan(Scorer):
    """APRIL-GAN (Chen et al., arXiv 2305.17382), with CLIP's own projection in place of its trained layers.

    A place's score is the mean, over the layers in the space of text (``text5``; all layers where none is named so), of
    the probability of the abnormal prompts (section 3.1). With `prompts-few`, the mean over the other layers of the
    cosine distance to the nearest reference is added (section 3.2), and the image score is the mean of the image's
    probability and the highest place.
    """

    name = "april-gan"
    plain = True
    bank: ClassVar[type[Bank]] = PrototypeBank  # type: ignore[type-abstract]
    needs = frozenset({"layers", "image"})

    class Config(Component.Config):
        temperature: float = Field(0.01, gt=0, description="by which similarities are divided")

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The scorer's own image score and unsmoothed maps. No default bank: the user names the prompts' model."""
        return {"aggregate": "scorer", "map": {"upsample": "bilinear-corners", "sigma": 0.0, "at": "input"}}

    def score(self, query: Features, bank: PrototypeBank) -> Scores:
        image = abnormality(query.need_image(self.title), bank, self.config.temperature, self.title)
        layers = query.need_layers(self.title)
        projected = {name: layer for name, layer in layers.items() if name.startswith(TEXT)}
        others = {name: layer for name, layer in layers.items() if name not in projected}
        by_text = _mean(
            [abnormality(layer, bank, self.config.temperature, self.title) for layer in (projected or others).values()]
        )
        if not isinstance(bank, PromptsFew):
            return Scores(by_text, image)
        seen = others or projected
        places = by_text + _mean([bank.association(layer, name) for name, layer in seen.items()])
        return Scores(places, (image + places.amax(dim=(1, 2))) / 2)


def _mean(maps: list[Tensor]) -> Tensor:
    """The mean of maps [B, h, w] on the finest grid; all blocks of a transformer share one grid."""
    import torch
    from torch.nn.functional import interpolate

    finest = max((found.shape[1:] for found in maps), key=math.prod)
    fine = [interpolate(found[:, None], size=finest, mode="bilinear")[:, 0] for found in maps]
    return torch.stack(fine).mean(0)
