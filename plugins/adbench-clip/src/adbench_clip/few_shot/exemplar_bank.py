"""The contract of banks of labelled image vectors, and how such a bank reads its stream."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from adbench import DataError, FeatureStream, PrototypeBank, Source

if TYPE_CHECKING:
    from torch import Tensor


class ExemplarBank(PrototypeBank):
    """A bank that keeps the image vectors of normal and of labelled defective images."""

    learns_from: ClassVar[Source] = Source.LABELLED
    needs = frozenset({"image"})

    @property
    @abstractmethod
    def vectors(self) -> Tensor:
        """[N, D] float32 of unit length, normal ones first."""

    @property
    @abstractmethod
    def classes(self) -> Tensor:
        """[N] int64, ascending: 0 for normal, 1 and up for the types of defects."""


class Exemplars(NamedTuple):
    """Labelled image vectors.

    Attributes:
        vectors: [N, D] float32 of unit length.
        classes: [N] int64, ascending; 0 for normal.
    """

    vectors: Tensor
    classes: Tensor


def read_exemplars(features: FeatureStream, device: str, who: str) -> Exemplars:
    """The image vectors of a labelled stream, sorted by class; within a class in the order of the stream.

    Args:
        features: with labels.
        device: where the vectors go.
        who: for messages.

    Raises:
        DataError: the stream has no normal or no defective image.
        ContractError: the backbone gives no image vectors.
    """
    import torch
    from torch.nn.functional import normalize

    classes = [features.labels[name] for name in features.ids] if features.labels else []
    if 0 not in classes or not any(classes):
        raise DataError(
            f"{who}: it learns from labelled normal and labelled defective images, and one of them is missing; allow"
            " them (--allow labelled --defect-shots 1)"
        )
    vectors = torch.cat([part.need_image(who).float() for part in features]).to(device)
    order = sorted(range(len(classes)), key=lambda place: classes[place])
    return Exemplars(normalize(vectors[order], dim=1), torch.tensor([classes[place] for place in order], device=device))
