"""An audit of a whole dataset: problems that would make results wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adbench.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.dataset import Dataset, Sample, Split

Watch = Callable[[str, int, int], None]
"""A function that receives a category, the number of finished images and the number of all its images."""

HASH_SIDE = 16
"""The side of the perceptual hash, which has 256 bits."""
NEAR = 20
"""Number of bits that may differ between near-duplicates. Measured: copies that were recompressed, shrunk, brightened
or made noisy differ in at most 18 bits; different hazelnuts, transistors and pieces of brick differ in 32 or more.
With a hash of 64 bits the two ranges overlap."""


def problems(dataset: Dataset, watch: Watch) -> Iterator[str]:
    """One sentence for each problem: files that were passed over, numbers that differ from the published ones, images
    and masks that are unreadable or do not fit, and pictures that are in both train and test.

    Args:
        dataset: if it has an attribute `published`, the numbers of images of each category are compared with it.
        watch: receives the progress.

    Raises:
        DataError: the dataset is missing.
    """
    published: Mapping[str, tuple[int, int]] = getattr(dataset, "published", {})
    there = dataset.categories()
    yield from (f"category {name!r} is missing" for name in sorted(set(published) - set(there)))
    yield from _passed_over(dataset)
    for category in there:
        try:
            split = dataset.split(category)
        except DataError as error:
            yield str(error)
            continue
        yield from _passed_over(dataset, category)
        yield from _miscounted(category, split, published.get(category))
        yield from _spoilt(dataset, category, split, watch)


def _passed_over(dataset: Dataset, category: str = "") -> Iterator[str]:
    survey = dataset.survey(category)
    yield from (str(found) for found in (survey.passed_over if survey else ()))


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
    trained: dict[str, Sample] = {}
    for done, sample in enumerate((*split.train, *split.test), 1):
        learnt = done <= len(split.train)
        try:
            image = dataset.image(sample)
            yield from _unfit(dataset, sample, image)
            content = _content(image)
            if not learnt and content in trained:
                yield f"{sample.id} is the same picture as the training image {trained[content].id}"
            if learnt:
                trained.setdefault(content, sample)
        except DataError as error:
            yield str(error)
        watch(category, done, total)


def _unfit(dataset: Dataset, sample: Sample, image: np.ndarray) -> Iterator[str]:
    mask, ignored = dataset.mask(sample) if sample.anomalous else None, dataset.ignored(sample)
    if ignored is not None and ignored.shape != image.shape[:2]:
        yield f"{sample.id}: the ignored pixels are of {ignored.shape} pixels, the image of {image.shape[:2]}"
    if mask is not None and mask.shape != image.shape[:2]:
        yield f"{sample.id}: the mask has {mask.shape} pixels, the image {image.shape[:2]}"
    if mask is not None and not mask.any():
        yield f"{sample.id}: the mask of a defective image is empty"


def _content(image: np.ndarray) -> str:
    """A hash of the pixels, however the file packs them."""
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def near_duplicates(dataset: Dataset, watch: Watch) -> Iterator[str]:
    """One sentence for each test image that looks like a training image, and one for training images that look alike:
    files that were saved again, or the same part twice.

    It compares perceptual hashes of the images' coarse structure (Zauner, "Implementation and benchmarking of
    perceptual image hash functions", 2010, section 3.2.1). A match is a hint, not a proof, and not an error.
    `problems` reports unreadable files.

    Args:
        dataset: the dataset.
        watch: receives the progress.

    Raises:
        UsageError: the package imagehash is missing.
    """
    for category in dataset.categories():
        try:
            split = dataset.split(category)
        except DataError:
            continue
        total = len(split.train) + len(split.test)
        trained = _HashIndex()
        for done, sample in enumerate((*split.train, *split.test), 1):
            bits = _perceptual_hash(dataset, sample)
            if bits is not None and done <= len(split.train):
                trained.count_twins(bits)
                trained.add(sample, bits)
            elif bits is not None:
                yield from trained.near(sample, bits)
            watch(category, done, total)
        if trained.twins:
            yield (
                f"{category}: {trained.twins} training images look like another training image; if one of two is held"
                " out, it scores too low, and a threshold from such scores raises more false alarms than its bound"
            )


class _HashIndex:
    """An index of training images by perceptual hash."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._hashes: list[np.ndarray] = []
        self.twins = 0
        """Number of training images that look like an earlier one."""

    def add(self, sample: Sample, bits: np.ndarray) -> None:
        self._samples.append(sample)
        self._hashes.append(bits)

    def count_twins(self, bits: np.ndarray) -> None:
        """Count a training image that looks like an earlier one."""
        self.twins += self._nearest(bits)[1] <= NEAR

    def near(self, sample: Sample, bits: np.ndarray) -> Iterator[str]:
        """A sentence if a training image is near."""
        nearest, distance = self._nearest(bits)
        if distance <= NEAR:
            twin = self._samples[nearest].id
            yield f"{sample.id} looks like the training image {twin} ({distance} of {bits.size} bits differ)"

    def _nearest(self, bits: np.ndarray) -> tuple[int, int]:
        """The place of the nearest training image, and the number of different bits; all bits if the index is empty."""
        import numpy as np

        if not self._hashes:
            return 0, bits.size
        distances = (np.stack(self._hashes) != bits).sum(axis=1)
        nearest = int(distances.argmin())
        return nearest, int(distances[nearest])


def _perceptual_hash(dataset: Dataset, sample: Sample) -> np.ndarray | None:
    """[256] bool: the perceptual hash of an image; None for an unreadable image."""
    import numpy as np
    from PIL import Image

    try:
        from imagehash import phash
    except ImportError:
        raise UsageError(
            "the search for near-duplicates needs imagehash; run 'pip install adbench-core[boards]'"
        ) from None
    try:
        pixels = dataset.image(sample)
    except DataError:
        return None
    shown = pixels if pixels.dtype == np.uint8 else (255 * pixels).astype(np.uint8)
    bits: np.ndarray = phash(Image.fromarray(shown), hash_size=HASH_SIDE).hash.ravel()
    return bits
