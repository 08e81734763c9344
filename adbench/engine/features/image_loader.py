"""From files to batches: images are read ahead, prepared, and grouped by size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from adbench.api.bounded_cache import BoundedCache
from adbench.api.dataset import Dataset, Sample
from adbench.api.features import Batch
from adbench.api.geometry import Geometry
from adbench.api.networks.threads import one_thread
from adbench.api.stages import Preprocessor
from adbench.engine.features.contract import check_prepared, naming_component, prepared_pair
from adbench.engine.features.ignoring import blanked, ignored_pixels
from adbench.engine.features.read_ahead import Item, read_ahead
from adbench.engine.features.tiles import ImageReading, tiling_of
from adbench.engine.features.views import View

Change = Callable[[np.ndarray], np.ndarray]
"""Makes other pixels of an image's [H, W, 3]."""
Prepared = tuple[Tensor, Geometry]
"""An image [3, H, W] float32 from 0 to 1, and where its pixels come from."""


@dataclass(frozen=True)
class SourceImage:
    """An image that is still to be read.

    Attributes:
        alias: its name for components.
        read: gives its pixels [3, H, W]: uint8 (0 to 255) or float32 (0 to 1).
        digest: stands for its content in the feature cache; empty for an image that is never cached.
        ignored: gives [H, W] bool, its pixels that nobody looks at, which `read` gives in gray; None for none.
    """

    alias: str
    read: Callable[[], Tensor]
    digest: str = ""
    ignored: Callable[[], Tensor | None] = lambda: None


def source_images(
    dataset: Dataset, samples: Iterable[Sample], aliases: Mapping[str, str], digests: Mapping[str, str]
) -> list[SourceImage]:
    """The images of a dataset.

    Args:
        dataset: where the images are.
        samples: which of them.
        aliases: the name of each for components, by id.
        digests: the content of each, by id.
    """
    return [source_image(dataset, one, aliases[one.id], digests.get(one.id, "")) for one in samples]


def source_image(
    dataset: Dataset,
    sample: Sample,
    alias: str,
    digest: str,
    change: Change = lambda pixels: pixels,
    cache: BoundedCache | None = None,
) -> SourceImage:
    """One image of a dataset, maybe changed after reading.

    Args:
        dataset: where the image is.
        sample: which of its images.
        alias: its name for components.
        digest: stands for the content of the changed image; empty for an image that is never cached.
        change: makes other pixels of the same shape of the image's own.
        cache: of images as they were read, for one that is changed in several ways.
    """
    read = partial(_read, dataset, sample, change, cache)
    return SourceImage(alias, read, digest, partial(ignored_pixels, dataset, sample))


def _read(dataset: Dataset, sample: Sample, change: Change, cache: BoundedCache | None) -> Tensor:
    make = partial(dataset.image, sample)
    with naming_component(dataset, "image"):
        pixels = make() if cache is None else cache.get_or_make(sample.id, make, lambda array: int(array.nbytes))
    return blanked(torch.from_numpy(change(pixels)).permute(2, 0, 1), ignored_pixels(dataset, sample))


@dataclass(frozen=True)
class ImageLoader:
    """Reads and prepares images, and groups neighbours of one size into batches.

    Attributes:
        preprocess: the steps of the preparation.
        batch_size: images a batch, or tiles where the preparation ends in some.
        workers: threads that read ahead.
    """

    preprocess: Sequence[Preprocessor]
    batch_size: int = 8
    workers: int = 2

    @property
    def reading(self) -> ImageReading:
        """How a backbone reads the prepared images."""
        return ImageReading(tiling_of(self.preprocess), self.batch_size)

    def load(self, image: SourceImage, view: View | None = None) -> Prepared:
        """Read and prepare one image, in one view.

        Raises:
            BadImage: the file cannot be read.
        """
        pixels = image.read()
        return prepared(pixels if view is None else view(pixels), self.preprocess)

    def batches(self, images: Sequence[SourceImage], view: View | None = None) -> Iterator[Batch]:
        """Batches in the order of the images; a batch ends early where the size changes."""
        loaded = self.ahead(partial(self.load, view=view), images)
        named = zip((image.alias for image in images), loaded, strict=True)
        for group in grouped(named, lambda item: item[1][0].shape, self.reading.images):
            yield batch_of(group)

    def ahead(self, work: Callable[[SourceImage], Item], images: Iterable[SourceImage]) -> Iterator[Item]:
        """Results of work on the images, in order; threads are up to two batches ahead."""
        return read_ahead(work, images, self.workers, 2 * self.reading.images)


def prepared(image: Tensor, steps: Sequence[Preprocessor]) -> Prepared:
    """Prepare an image.

    Args:
        image: [3, H, W], uint8 (0 to 255) or float32 (0 to 1).
        steps: the steps of the preparation, in order.
    """
    geometry = Geometry.whole(image.shape[1], image.shape[2])
    for step in steps:
        with naming_component(step, "apply"):
            image, geometry = prepared_pair(step, step.apply(image, geometry))
            check_prepared(step, image, geometry)
    return (image.float().div_(255) if image.dtype == torch.uint8 else image), geometry


def grouped(items: Iterable[Item], size: Callable[[Item], object], most: int) -> Iterator[list[Item]]:
    """Group neighbours of one size, at most `most` of them together."""
    group: list[Item] = []
    for item in items:
        if group and (len(group) == most or size(group[0]) != size(item)):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def batch_of(group: Sequence[tuple[str, Prepared]]) -> Batch:
    """Make one batch of prepared images of one size, each with its alias."""
    with one_thread():
        images = torch.stack([image for _, (image, _) in group])
    return Batch(
        ids=tuple(alias for alias, _ in group),
        images=images,
        geometry=tuple(geometry for _, (_, geometry) in group),
    )
