"""The bank of whole images, one vector each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from adbench import Features, FeatureStream
from adbench_memory.collect import collect
from adbench_memory.memory import VectorMemory

if TYPE_CHECKING:
    from adbench import Context


class ImageVectors(VectorMemory):
    """The image vectors of the normal images: a ResNet's pooled map, a transformer's class token."""

    name: ClassVar[str] = "image-vectors"
    needs: ClassVar[frozenset[str]] = frozenset({"image"})

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        self.store(collect(_WholeImages(features, self.title), ctx.device, self.title), ctx)


class _WholeImages(FeatureStream):
    """A stream in which each image is a single patch, its image vector."""

    def __init__(self, source: FeatureStream, who: str) -> None:
        self.source, self.who = source, who

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        for features in self.source:
            yield features.having(patches=features.need_image(self.who)[:, None, None], foreground=None)
