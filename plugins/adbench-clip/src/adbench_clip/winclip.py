"""The scorer of WinCLIP: it compares windows of several sizes with prompts and with normal images, if any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Component, Features, Field, PrototypeBank, Scorer, Scores
from adbench_clip.contrast import TEMPERATURE, abnormality
from adbench_clip.harmonic import harmonic_mean, mean_over_windows
from adbench_clip.prompts_few import PromptsFew

if TYPE_CHECKING:
    from torch import Tensor


class WinClip(Scorer):
    """WinCLIP (arXiv 2303.14814); with the bank `prompts-few` it is WinCLIP+.

    Without references a place's score is the harmonic mean of the image's probability of the abnormal prompts and, for
    each size of windows, of the harmonic mean over the windows that cover the place (sections 4.1 and 4.2, Eq. 1,
    Eq. 3). With them, half of it is the mean over patches and sizes of windows of half the cosine distance to the
    nearest reference (section 4.3), and the image score is the mean of the image's probability and the highest such
    distance.

    Every layer of the features is a map of windows with stride 1.
    """

    name = "winclip"
    plain = True
    bank: ClassVar[type[Bank]] = PrototypeBank  # type: ignore[type-abstract]
    needs = frozenset({"patches", "layers", "image"})

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
        """The scorer's own image score and unsmoothed maps. No default bank: the user names the prompts' model."""
        return {"aggregate": "scorer", "map": {"upsample": "bilinear", "sigma": 0.0, "at": "input"}}

    def score(self, query: Features, bank: PrototypeBank) -> Scores:
        image = abnormality(query.need_image(self.title), bank, self.config.temperature, self.title)
        zero = self._by_text(query, bank, image)
        if not isinstance(bank, PromptsFew):
            return Scores(zero, image)
        few = self._by_references(query, bank)
        return Scores((zero + few) / 2, (image + few.amax(dim=(1, 2))) / 2)

    def _by_text(self, query: Features, bank: PrototypeBank, image: Tensor) -> Tensor:
        """[B, H, W]: the image as the largest window, then the windows of each size."""
        _, height, width, _ = query.need_patches(self.title).shape
        maps = [image[:, None, None].expand(-1, height, width)]
        for layer in query.need_layers(self.title).values():
            scores = abnormality(layer, bank, self.config.temperature, self.title)
            maps.append(mean_over_windows(scores, (height, width)))
        return harmonic_mean(maps)

    def _by_references(self, query: Features, bank: PromptsFew) -> Tensor:
        """[B, H, W]: half the cosine distance to the nearest reference (Eq. 4), the mean over patches and windows."""
        import torch

        patches = query.need_patches(self.title)
        maps = [bank.association(patches) / 2]
        for name, layer in query.need_layers(self.title).items():
            half = bank.association(layer, name).clamp(min=0) / 2  # rounding must not turn a harmonic mean around
            maps.append(mean_over_windows(half, (patches.shape[1], patches.shape[2])))
        return torch.stack(maps).mean(0)
