"""The bank of normal patches and whole normal images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Features, FeatureStream, Field, UsageError
from adbench.search import RecordableIndex, exact_search
from adbench_memory.coreset import Coreset

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context

LEAST_SPREAD = 0.01
"""Channels count as spread by this share of the mean spread at least: one that never moved would drown the rest."""


class TwoScale(Coreset):
    """A coreset of patches, and every image's vector in a space where normal images vary equally in all directions.

    The patches are those of `coreset`. Image vectors are standardised channel by channel, then whitened by their
    correlations, shrunk towards none (Ledoit and Wolf 2004, with a weight that is given; Rippel, Mertens and Merhof,
    arXiv 2005.14140, measure whole images so). Distances there are Mahalanobis distances, from one image to another.
    """

    name: ClassVar[str] = "two-scale"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "image"})

    class Config(Coreset.Config):
        """Options."""

        shrinkage: float = Field(0.1, gt=0, le=1, description="weight of no correlation; 1 only standardises")

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._images: dict[str, Tensor] = {}

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        stream = _ImageVectorStream(features, self.title)
        super().fit(stream, ctx)
        vectors = torch.cat(stream.images).to(ctx.device)
        center, basis = whitening(vectors, self.config.shrinkage)
        self._images = {"center": center, "basis": basis, "images": (vectors - center) @ basis}

    def image_distances(self, images: Tensor, k: int = 1) -> Tensor:
        """Distances [B, k] of image vectors [B, D] to the k nearest normal images, nearest first.

        Raises:
            UsageError: nothing was learned yet.
        """
        if not self._images:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        known = self._images["images"]
        query = (images.to(known) - self._images["center"]) @ self._images["basis"]
        if self._recordable is not None:
            return RecordableIndex(known).search(query, min(k, len(known)))[0]
        return exact_search(query, known, min(k, len(known)))[0]

    def state(self) -> dict[str, Tensor]:
        return super().state() | {f"image/{name}": tensor for name, tensor in self._images.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        super().restore(state)
        self._images = {name: state[f"image/{name}"].to(self._device) for name in ("center", "basis", "images")}


def whitening(vectors: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """The map z = (x - center) basis after which vectors have a spread of one in all directions.

    Args:
        vectors: [N, D].
        shrinkage: weight of the identity in the correlations.

    Returns:
        Center [D] and basis [D, D], float32.
    """
    import torch

    wide = vectors.double()
    center, spread = wide.mean(0), wide.std(0, correction=0)
    least = (LEAST_SPREAD * spread.mean()).clamp(min=torch.finfo(torch.float32).eps)
    scale = spread.clamp(min=float(least))
    standard = (wide - center) / scale
    values, axes = torch.linalg.eigh(standard.T @ standard / len(wide))
    lengths = ((1 - shrinkage) * values.clamp(min=0) + shrinkage).rsqrt()
    return center.float(), (axes * lengths / scale[:, None]).float()


class _ImageVectorStream(FeatureStream):
    """A stream that stores the image vectors of its features.

    Attributes:
        images: [B, D] float32 of each batch.
    """

    def __init__(self, source: FeatureStream, who: str) -> None:
        self.source, self.who = source, who
        self.images: list[Tensor] = []

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        self.images = []
        for features in self.source:
            self.images.append(features.need_image(self.who).float())
            yield features
