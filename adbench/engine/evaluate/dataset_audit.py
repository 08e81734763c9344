"""Looks through a whole dataset for what would spoil a result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adbench.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.dataset import Dataset, Sample, Split

Watch = Callable[[str, int, int], None]
"""Called with a category, the images done and the images in it."""

HASH_SIDE = 16
"""Of the perceptual hash, which has 256 bits."""
NEAR = 20
"""So many bits may differ. Measured: copies that were recompressed, shrunk, brightened or made noisy differ in at most
18, different hazelnuts, transistors and pieces of brick in 32 or more. With a hash of 64 bits the two overlap."""


def problems(dataset: Dataset, watch: Watch) -> Iterator[str]:
    """One sentence for each thing that is wrong: files that were passed over, numbers that differ from the published
    ones, images and masks that cannot be read or do not fit, and pictures that are in both train and test.

    Args:
        dataset: where it has an attribute `published`, training and test images of each category are counted.
        watch: told how far it is.

    Raises:
        DataError: the dataset is not there at all.
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


def near_duplicates(dataset: Dataset, watch: Watch) -> Iterator[str]:
    """One sentence for each test image that looks like a training image, and one for all training images that look like
    another one: packed anew, or the same part once more.

    Compared are perceptual hashes of the images' coarse structure (Zauner, "Implementation and benchmarking of
    perceptual image hash functions", 2010, section 3.2.1). That is no proof, and no error, but worth knowing.
    What cannot be read is left to `problems`.

    Args:
        dataset: that is there.
        watch: told how far it is.

    Raises:
        UsageError: the package imagehash is missing.
    """
    for category in dataset.categories():
        try:
            split = dataset.split(category)
        except DataError:
            continue
        total = len(split.train) + len(split.test)
        learnt = _Album()
        for done, sample in enumerate((*split.train, *split.test), 1):
            look = _look(dataset, sample)
            if look is not None and done <= len(split.train):
                learnt.count_twins(look)
                learnt.add(sample, look)
            elif look is not None:
                yield from learnt.near(sample, look)
            watch(category, done, total)
        if learnt.twins:
            yield (
                f"{category}: {learnt.twins} training images look like another training image; where one of two is"
                " held out, it scores too low, and a threshold from such scores raises more false alarms than promised"
            )


class _Album:
    """Hashes of training images."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._looks: list[np.ndarray] = []
        self.twins = 0
        """Training images that look like an earlier one."""

    def add(self, sample: Sample, look: np.ndarray) -> None:
        self._samples.append(sample)
        self._looks.append(look)

    def count_twins(self, look: np.ndarray) -> None:
        """Count a training image that looks like one of those before it."""
        self.twins += self._nearest(look)[1] <= NEAR

    def near(self, sample: Sample, look: np.ndarray) -> Iterator[str]:
        """A sentence if any of them is near."""
        nearest, apart = self._nearest(look)
        if apart <= NEAR:
            twin = self._samples[nearest].id
            yield f"{sample.id} looks like {twin}, which is trained on ({apart} of {look.size} bits differ)"

    def _nearest(self, look: np.ndarray) -> tuple[int, int]:
        """The place of the nearest one, and in how many bits it differs: in all where there is none."""
        import numpy as np

        if not self._looks:
            return 0, look.size
        apart = (np.stack(self._looks) != look).sum(axis=1)
        nearest = int(apart.argmin())
        return nearest, int(apart[nearest])


def _look(dataset: Dataset, sample: Sample) -> np.ndarray | None:
    """[256] bool: the perceptual hash of an image; None if it cannot be read."""
    import numpy as np
    from PIL import Image

    try:
        from imagehash import phash
    except ImportError:
        raise UsageError(
            "near-duplicates are looked for with imagehash; run 'pip install adbench-core[boards]'"
        ) from None
    try:
        pixels = dataset.image(sample)
    except DataError:
        return None
    shown = pixels if pixels.dtype == np.uint8 else (255 * pixels).astype(np.uint8)
    bits: np.ndarray = phash(Image.fromarray(shown), hash_size=HASH_SIDE).hash.ravel()
    return bits
