"""Moments of image vectors, beside a walk over the patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from adbench import ContractError, FeatureStream
from adbench_gaussian.moments import Moments

if TYPE_CHECKING:
    from adbench import Features


class ImageMoments(FeatureStream):
    """A stream that adds up the image vectors of the features that it hands on.

    Args:
        source: the stream.
        who: the component that asks, as messages write it.

    Attributes:
        moments: of the image vectors of the last walk; None before the first one.
    """

    def __init__(self, source: FeatureStream, who: str) -> None:
        self.source, self.who = source, who
        self.moments: Moments | None = None

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        self.moments = None
        for features in self.source:
            self._add(features)
            yield features

    def _add(self, features: Features) -> None:
        vectors = features.need_image(self.who).float()
        if not vectors.isfinite().all():
            raise ContractError("the backbone or a neck", f"{self.who} got image vectors that are not finite")
        self.moments = self.moments or Moments(vectors.mean(0)[None])
        self.moments.add(vectors[:, None])
