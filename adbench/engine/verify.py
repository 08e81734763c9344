"""Looks through a whole dataset for what would spoil a result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.dataset import Dataset, Sample, Split

Watch = Callable[[str, int, int], None]
"""Called with a category, the images done and the images in it."""


def problems(dataset: Dataset, watch: Watch) -> Iterator[str]:
    """One sentence for each thing that is wrong: numbers that differ from the published ones, images and masks that
    cannot be read or do not fit, and pictures that are in both train and test.

    Args:
        dataset: where it has an attribute `published`, training and test images of each category are counted.
        watch: told how far it is.

    Raises:
        DataError: the dataset is not there at all.
    """
    published: Mapping[str, tuple[int, int]] = getattr(dataset, "published", {})
    there = dataset.categories()
    yield from (f"category {name!r} is missing" for name in sorted(set(published) - set(there)))
    for category in there:
        try:
            split = dataset.split(category)
        except DataError as error:
            yield str(error)
            continue
        yield from _miscounted(category, split, published.get(category))
        yield from _spoilt(dataset, category, split, watch)


def _miscounted(category: str, split: Split, published: tuple[int, int] | None) -> Iterator[str]:
    counts = len(split.train), len(split.test)
    if published is not None and counts != published:
        yield (
            f"category {category!r} has {counts[0]} training and {counts[1]} test images;"
            f" published are {published[0]} and {published[1]}"
        )


def _spoilt(dataset: Dataset, category: str, split: Split, watch: Watch) -> Iterator[str]:
    """Read every image and mask once."""
    total = len(split.train) + len(split.test)
    seen: dict[str, Sample] = {}
    for done, sample in enumerate((*split.train, *split.test), 1):
        learnt = done <= len(split.train)
        try:
            image = dataset.image(sample)
            yield from _unfit(dataset, sample, image)
            content = _content(image)
            if not learnt and content in seen:
                yield f"{sample.id} is the same picture as {seen[content].id}, which is trained on"
            if learnt:
                seen.setdefault(content, sample)
        except DataError as error:
            yield str(error)
        watch(category, done, total)


def _unfit(dataset: Dataset, sample: Sample, image: np.ndarray) -> Iterator[str]:
    mask = dataset.mask(sample) if sample.anomalous else None
    if mask is not None and mask.shape != image.shape[:2]:
        yield f"{sample.id}: the mask has {mask.shape} pixels, the image {image.shape[:2]}"
    if mask is not None and not mask.any():
        yield f"{sample.id}: the mask of a defective image is empty"


def _content(image: np.ndarray) -> str:
    """A hash of the pixels, however the file packs them."""
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()
