"""The holdout split: some test images choose options, the others report. No image does both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from adbench.api.dataset import Sample
from adbench.engine.images.twins import groups_of
from adbench.errors import DataError


class HoldoutSplit(NamedTuple):
    """A split of a category's test images, as their places in order.

    Attributes:
        choosing: images whose labels choose.
        reporting: images that report the figures of the choice.
    """

    choosing: tuple[int, ...]
    reporting: tuple[int, ...]


def everything(samples: Sequence[Sample]) -> HoldoutSplit:
    """The split of an oracle: all images choose and report."""
    places = tuple(range(len(samples)))
    return HoldoutSplit(places, places)


def held_out(category: str, samples: Sequence[Sample], digests: Mapping[str, str], share: float) -> HoldoutSplit:
    """Split a category's test images by the hash of their ids, each type of defect separately.

    Images of the same content stay together. The share is exact up to one image (or the images of one content), among
    the good and among the defective images.

    Args:
        category: for messages.
        samples: its test images.
        digests: the content of each image, by id.
        share: the share of images that choose, between 0 and 1.

    Raises:
        DataError: a part would have no good or no defective images.
    """
    groups = groups_of(samples, digests)
    choosing: set[int] = set()
    for anomalous in (False, True):
        alike = [group for group in groups if samples[group[0]].anomalous is anomalous]
        choosing |= _take(sorted(alike, key=lambda group: _order(samples[group[0]])), share)
    places = range(len(samples))
    split = HoldoutSplit(tuple(sorted(choosing)), tuple(place for place in places if place not in choosing))
    if not all(_has_both(samples[place] for place in part) for part in split):
        defective = sum(sample.anomalous for sample in samples)
        raise DataError(
            f"category {category!r} has {defective} defective and {len(samples) - defective} good test images, too few"
            f" to give both parts of a share of {share:g} some of each; take another --share, or other categories"
        )
    return split


def _order(sample: Sample) -> tuple[str, str]:
    return sample.defect, hashlib.sha256(sample.id.encode()).hexdigest()


def _take(groups: Iterable[Sequence[int]], share: float) -> set[int]:
    """Go through groups in order, and take a group whenever less than the share was taken so far."""
    taken: set[int] = set()
    passed = 0
    for group in groups:
        passed += len(group)
        if len(taken) + len(group) / 2 < share * passed - 1e-9:
            taken.update(group)
    return taken


def _has_both(samples: Iterable[Sample]) -> bool:
    return {sample.anomalous for sample in samples} == {False, True}


def require_apart(choosing: Mapping[str, str], reporting: Mapping[str, str]) -> None:
    """Refuse an image that chooses in one category and reports in another.

    Args:
        choosing: id by content, of the choosing images of all categories.
        reporting: id by content, of the reporting images.

    Raises:
        DataError: there is such an image.
    """
    for content in sorted(choosing.keys() & reporting.keys()):
        raise DataError(
            f"{choosing[content]} and {reporting[content]} are the same image: it would choose and report; give the"
            " runs of one of the two categories only"
        )
