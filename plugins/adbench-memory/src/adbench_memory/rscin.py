"""MuSc's aggregator: similar images share their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from adbench import Aggregator, ContractError, Field, ImageScores

if TYPE_CHECKING:
    from torch import Tensor


class Rscin(Aggregator):
    """The highest patch, then the weighted mean over the most similar images of the test set: MuSc's RsCIN.

    MuSc (arXiv 2401.16753; xrli-U/MuSc, ``_RsCIN.py``): highest patch scores go from 0 to 1 over the test
    set; weights are the similarities of image vectors, of which the k highest of each row stay, its own included, and
    are divided by their sum; the result is the mean over several k. Where all images score the same, that is 0.
    Transductive: an image's score depends on the others.
    """

    name: ClassVar[str] = "rscin"
    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    alone: ClassVar[bool] = False

    class Config(Aggregator.Config):
        neighbours: tuple[int, ...] = Field(
            (1, 2, 3), min_length=1, description="images that share a score, itself included; the mean over all numbers"
        )
        similarity: Literal["cosine", "dot"] = Field(
            "cosine", description="of image vectors; the authors' code takes cosine for CLIP, dot for DINO"
        )

        @field_validator("neighbours", mode="before")
        @classmethod
        def _listed(cls, value: Any) -> Any:
            """A list from one number, as the command line writes it."""
            return value if isinstance(value, list | tuple) else [value]

        @field_validator("neighbours")
        @classmethod
        def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
            if min(value) < 1:
                raise ValueError("must be 1 or more: an image always counts itself")
            return value

    config: Config

    def aggregate(self, scores: Sequence[ImageScores]) -> Tensor:
        import torch

        highest = _stretched(torch.stack([_highest(image) for image in scores]).double())
        alike = self._similarities(torch.stack([_vector(image) for image in scores]).double())
        shared = [_shared(highest, alike, min(count, len(scores))) for count in self.config.neighbours]
        return torch.stack(shared).mean(0).float()

    def _similarities(self, vectors: Tensor) -> Tensor:
        """Similarities [N, N] of vectors [N, D]; by cosine, a zero vector is similar to itself only."""
        from torch.nn.functional import normalize

        if self.config.similarity == "dot":
            return vectors @ vectors.T
        unit = normalize(vectors, dim=1)
        return (unit @ unit.T).fill_diagonal_(1.0)


def _highest(image: ImageScores) -> Tensor:
    if image.patches is None:
        raise ContractError("aggregator 'rscin'", "it reads patch scores, but the scorer gave none")
    return image.patches.amax()


def _vector(image: ImageScores) -> Tensor:
    if image.vector is None:
        raise ContractError("aggregator 'rscin'", "it reads image vectors, but the backbone gives none")
    return image.vector


def _stretched(scores: Tensor) -> Tensor:
    """Scores [N] stretched to 0..1. This changes no rank, because each row of weights adds up to 1."""
    import torch

    lowest, highest = scores.amin(), scores.amax()
    return torch.zeros_like(scores) if lowest == highest else (scores - lowest) / (highest - lowest)


def _shared(scores: Tensor, alike: Tensor, count: int) -> Tensor:
    """The mean [N] of the `count` images most similar to each row, weighted by similarity."""
    import torch

    most = alike.topk(count, dim=1)
    weights = torch.zeros_like(alike).scatter_(1, most.indices, most.values)
    return weights @ scores / weights.sum(1)
