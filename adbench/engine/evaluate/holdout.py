"""Which test images choose options, and which other ones report what the choice is worth. No image does both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from adbench.api.dataset import Sample
from adbench.engine.plan.twins import groups_of
from adbench.errors import DataError


class HoldoutSplit(NamedTuple):
    """The places of a category's test images, in order.

    Attributes:
        choosing: of those whose labels may choose.
        reporting: of those that judge the choice.
    """

    choosing: tuple[int, ...]
    reporting: tuple[int, ...]


def everything(samples: Sequence[Sample]) -> HoldoutSplit:
    """All images choose, and all report: an oracle's."""
    places = tuple(range(len(samples)))
    return HoldoutSplit(places, places)


def held_out(category: str, samples: Sequence[Sample], digests: Mapping[str, str], share: float) -> HoldoutSplit:
    """Part a category's test images by the hash of their ids, each type of defect by itself.

    Images of the same content always go together. The share is met to within an image (or the images of one content)
    among the good and among the defective ones.

    Args:
        category: for messages.
        samples: its test images.
        digests: the content of each image, by id.
        share: of the images that choose, between 0 and 1.

    Raises:
        DataError: a part would be left without good or without defective images.
    """
    groups = groups_of(samples, digests)
    choosing: set[int] = set()
    for anomalous in (False, True):
        alike = [group for group in groups if samples[group[0]].anomalous is anomalous]
        choosing |= _take(sorted(alike, key=lambda group: _order(samples[group[0]])), share)
    places = range(len(samples))
    parting = HoldoutSplit(tuple(sorted(choosing)), tuple(place for place in places if place not in choosing))
    if not all(_has_both(samples[place] for place in part) for part in parting):
        defective = sum(sample.anomalous for sample in samples)
        raise DataError(
            f"category {category!r} has {defective} defective and {len(samples) - defective} good test images, too few"
            f" to give both parts of a share of {share:g} some of each; take another --share, or other categories"
        )
    return parting


def _order(sample: Sample) -> tuple[str, str]:
    return sample.defect, hashlib.sha256(sample.id.encode()).hexdigest()


def _take(groups: Iterable[Sequence[int]], share: float) -> set[int]:
    """Go through groups in order, and take one whenever less than the share has been taken so far."""
    taken: set[int] = set()
    seen = 0
    for group in groups:
        seen += len(group)
        if len(taken) + len(group) / 2 < share * seen - 1e-9:
            taken.update(group)
    return taken


def _has_both(samples: Iterable[Sample]) -> bool:
    return {sample.anomalous for sample in samples} == {False, True}


def require_apart(choosing: Mapping[str, str], reporting: Mapping[str, str]) -> None:
    """Refuse an image that chooses in one category and reports in another.

    Args:
        choosing: id by content, of the choosing images of all categories.
        reporting: the same of those that report.

    Raises:
        DataError: there is such an image.
    """
    for content in sorted(choosing.keys() & reporting.keys()):
        raise DataError(
            f"{choosing[content]} and {reporting[content]} are the same image: it would choose and report; give the"
            " runs of one of the two categories only"
        )
