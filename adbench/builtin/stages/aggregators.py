"""From the scores of patches to the score of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from adbench import Aggregator, ContractError, Field, ImageScores

if TYPE_CHECKING:
    from torch import Tensor


def _each(scores: Sequence[ImageScores], statistic: Callable[[Tensor], Tensor]) -> Tensor:
    """[N] float32: a statistic of each image's patch scores, flattened."""
    import torch

    if any(image.patches is None for image in scores):
        raise ContractError("the aggregator", "it reads patch scores, but the scorer gave none; use 'scorer'")
    return torch.stack([statistic(image.patches.flatten().float()) for image in scores if image.patches is not None])


def _top(patches: Tensor, fraction: float) -> Tensor:
    """The mean of the highest ``int(fraction * N)`` of N patch scores, and of at least one."""
    return patches.topk(max(1, int(fraction * len(patches)))).values.mean()


class Max(Aggregator):
    """The highest patch score (PatchCore, PaDiM)."""

    name = "max"
    plain = True

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        return _each(scores, lambda patches: patches.amax())


class Mean(Aggregator):
    """The mean of all patch scores."""

    name = "mean"
    plain = True

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        return _each(scores, lambda patches: patches.mean())


class Quantile(Aggregator):
    """A quantile of the patch scores, interpolated linearly."""

    name = "quantile"
    plain = True

    class Config(Aggregator.Config):
        q: float = Field(0.99, ge=0, le=1, description="which quantile; 1 is the maximum")

    config: Config

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        return _each(scores, self._quantile)

    def _quantile(self, patches: Tensor) -> Tensor:
        """A quantile by sorting, because `torch.quantile` refuses more than 2**24 scores."""
        ascending = patches.sort().values
        place = self.config.q * (len(ascending) - 1)
        below = int(place)
        above = min(below + 1, len(ascending) - 1)
        return ascending[below].lerp(ascending[above], place - below)


class TopFraction(Aggregator):
    """The mean of the highest patch scores (AnomalyDINO, https://arxiv.org/abs/2405.14529, eq. 3: the top 1 %).

    As in the official code, ``int(fraction * N)`` of N patches count, and at least one.
    """

    name = "top-fraction"
    plain = True

    class Config(Aggregator.Config):
        fraction: float = Field(0.01, gt=0, le=1, description="share of the patches that counts")

    config: Config

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        return _each(scores, partial(_top, fraction=self.config.fraction))


class MapTopFraction(Aggregator):
    """The mean of the highest pixels of the anomaly map on the prepared image.

    SubspaceAD (https://arxiv.org/abs/2602.23013) takes the highest 1 %: ``int(fraction * N)`` of N pixels count, and at
    least one. With ``fraction=0`` it is the maximum of the map (PaDiM, https://arxiv.org/abs/2011.08785).
    """

    name = "map-top-fraction"
    plain = True
    reads = "map"

    class Config(Aggregator.Config):
        fraction: float = Field(0.01, ge=0, le=1, description="share of the pixels that counts; 0 for the maximum")

    config: Config

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        import torch

        return torch.stack([_top(image.need_map(self.title).flatten(), self.config.fraction) for image in scores])


def _whole(scores: Sequence[ImageScores], who: str) -> Tensor:
    """[N] float32: the scorer's own image scores."""
    import torch

    if any(image.image is None for image in scores):
        raise ContractError(who, "it reads the scorer's own image score, but the scorer gave none")
    if any(isinstance(image.image, torch.Tensor) for image in scores):  # while an export records them
        return torch.stack([torch.as_tensor(image.image) for image in scores]).float()
    return torch.tensor([image.image for image in scores], dtype=torch.float32)


class PassThrough(Aggregator):
    """The image score that the scorer computes itself (PatchCore's reweighting, image-level kNN, WinCLIP)."""

    name = "scorer"
    plain = True
    reads = "image"

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        return _whole(scores, self.title)


class LocalGlobal(Aggregator):
    """`weight` times the highest patch scores plus the rest times the scorer's own image score.

    WinCLIP+ (https://arxiv.org/abs/2303.14814) and APRIL-GAN few-shot (https://arxiv.org/abs/2305.17382)
    add the highest place of the map to the image's own score, one as heavy as the other. Both enter as they are: a
    rescaling to the test set's range would make one image's score depend on the others.
    """

    name = "local-global"
    plain = True
    reads = "both"

    class Config(Aggregator.Config):
        weight: float = Field(0.5, ge=0, le=1, description="of the patches' score; the rest is the image score's")
        fraction: float = Field(
            0.0, ge=0, le=1, description="share of the highest patches whose mean counts; 0 for the maximum, 1 for all"
        )

    config: Config

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        local = _each(scores, partial(_top, fraction=self.config.fraction))
        whole = _whole(scores, self.title).to(local.device)
        return self.config.weight * local + (1 - self.config.weight) * whole
