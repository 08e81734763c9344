"""The images as tuners get them: prepared, under aliases, and neither a path nor a name in an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from adbench.api.features import Batch
from adbench.api.geometry import Geometry
from adbench.api.training.tuner import BatchStream
from adbench.engine.features.image_loader import ImageLoader, SourceImage
from adbench.engine.features.sealed_stream import Seal, sealed


class PreparedImages(BatchStream):
    """Some images after their preparation, and nothing of where they come from.

    Args:
        loader: reads and prepares them.
        images: in the order of the stream.
        seal: takes the errors of reading.
    """

    def __init__(self, loader: ImageLoader, images: Sequence[SourceImage], seal: Seal) -> None:
        self._ids = tuple(image.alias for image in images)
        # A function, so that no attribute of the stream leads to the samples and their labels
        self._walk: Callable[[], Iterator[Batch]] = lambda: sealed(
            loader.batches(images), _without_places, seal, "an image"
        )

    @property
    def ids(self) -> Sequence[str]:
        return self._ids

    def __iter__(self) -> Iterator[Batch]:
        return self._walk()


def _without_places(batch: Batch) -> Batch:
    """The batch with the geometry of the prepared images alone: a tuner maps nothing back."""
    height, width = batch.images.shape[-2:]
    return replace(batch, geometry=(Geometry.whole(int(height), int(width)),) * len(batch))
