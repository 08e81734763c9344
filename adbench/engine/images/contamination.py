"""Contaminated training images: some defective test images move to the normal ones, unlabelled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from adbench.api.dataset import Sample
from adbench.engine.images.twins import groups_of
from adbench.errors import DataError

MOST = 0.5
"""Largest share of defective training images; with more of them the defects would be the normal state."""


def defects_needed(normal: int, share: float) -> int:
    """The number of defective images that, added to `normal` normal ones, make up a share of all of them."""
    return round(share * normal / (1 - share))


def contaminate(
    train: Sequence[Sample], test: Sequence[Sample], digests: Mapping[str, str], share: float, seed: int, category: str
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Move defective test images to the training images.

    No image is in both sets, and images with the same content stay together ("no overlap", Jiang et al., SoftPatch,
    NeurIPS 2022). A hash of seed and content draws the images; a larger share contains the images of a smaller one.

    Args:
        train: normal training images.
        test: test images.
        digests: the content of each image, by id.
        share: the defective share of the new training images, above 0 and at most `MOST`.
        seed: the number of the draw.
        category: for messages.

    Returns:
        The training images, in an order that does not reveal which ones are defective, and the other test images.

    Raises:
        DataError: there are too few defective images, or the training images are already labelled as defective.
    """
    if any(sample.anomalous for sample in train):
        raise DataError(f"category {category!r} has labelled defects among its training images; leave out contaminate")
    needed, what = defects_needed(len(train), share), f"contaminate {share:g} with {len(train)} normal training images"
    if not needed:
        raise DataError(f"category {category!r}: {what} needs less than one defective image; use a larger share")
    defective = [sample for sample in test if sample.anomalous]
    drawn = _drawn(defective, digests, needed, seed)
    if len(drawn) < needed or len(drawn) == len(defective):
        raise DataError(
            f"category {category!r}: {what} needs {needed} defective test images to learn from and one to judge; it has"
            f" {len(defective)}; use a smaller share"
        )
    rest = tuple(sample for sample in test if sample.id not in drawn)
    mixed = (*train, *(sample for sample in defective if sample.id in drawn))
    return _shuffled(mixed, digests, seed), rest


def _drawn(samples: Sequence[Sample], digests: Mapping[str, str], most: int, seed: int) -> set[str]:
    """The ids of at most `most` images; images with the same content are drawn together."""
    groups = [[samples[place] for place in group] for group in groups_of(samples, digests)]
    drawn: set[str] = set()
    for group in sorted(groups, key=lambda group: _hash("draw", seed, digests[group[0].id])):
        if len(drawn) + len(group) <= most:
            drawn.update(sample.id for sample in group)
    return drawn


def _shuffled(samples: Iterable[Sample], digests: Mapping[str, str], seed: int) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda sample: (_hash("order", seed, digests[sample.id]), sample.id)))


def _hash(purpose: str, seed: int, digest: str) -> str:
    return hashlib.sha256(f"contaminate/{purpose}/{seed}/{digest}".encode()).hexdigest()
