"""What an aggregator is given."""

from __future__ import annotations

from collections.abc import Sequence

from adbench.api.features import ImageScores
from adbench.engine.store.lazy_sequence import LazySequence


def counted(images: Sequence[ImageScores], *, dropped: bool) -> Sequence[ImageScores]:
    """What an aggregator is given: all patches, or those of the object where the others are dropped."""
    return LazySequence(range(len(images)), lambda place: images[place].of_object()) if dropped else images
