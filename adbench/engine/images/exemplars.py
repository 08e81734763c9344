"""Exemplars: a few labelled defective test images of each type, to learn from and never to be judged on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from adbench.api.bank import Source
from adbench.api.dataset import Sample
from adbench.engine.images.twins import groups_of
from adbench.errors import DataError


def fault_of_labels(
    allow: Sequence[Source], defect_shots: int | None, contaminate: float | None, model_per: str
) -> str:
    """Why these rules of a protocol do not fit together, in a sentence; empty if they do."""
    if (Source.LABELLED in allow) != (defect_shots is not None):
        return "give both 'labelled' in allow and the number of defect_shots of each type of defect, or none of them"
    if defect_shots is not None and contaminate is not None:
        return "defect_shots gives labelled defects and contaminate unlabelled ones; leave out one of them"
    if defect_shots is not None and model_per == "dataset":
        return "defect_shots has no meaning with one model for all categories; leave out one of them"
    return ""


def draw_exemplars(
    test: Sequence[Sample], digests: Mapping[str, str], shots: int, seed: int, category: str
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Draw exemplars of each type of defect by the rule of shots: ``sorted(type)[seed * shots:(seed + 1) * shots]``.

    So draws of different seeds share no image. Images with the same content count once, and every copy of an exemplar
    leaves the test images.

    Args:
        test: test images.
        digests: the content of each, by id.
        shots: images of each type.
        seed: the number of the draw.
        category: for messages.

    Returns:
        The exemplars, type by type, and the test images that are left.

    Raises:
        DataError: there is no defective test image, or a type has too few for the draw and one to judge.
    """
    types = _types(test, digests)
    if not types:
        raise DataError(f"category {category!r} has no defective test image to draw labelled exemplars from")
    exemplars: list[Sample] = []
    for defect, images in sorted(types.items()):
        needed = max((seed + 1) * shots, shots + 1)
        if len(images) < needed:
            found = f"{len(images)} different test image{'s' if len(images) > 1 else ''}"
            way = "use fewer defect shots or a smaller seed" if len(images) > 1 else "add images of it, or leave it out"
            raise DataError(
                f"category {category!r} has {found} with the defect {defect!r}: draw {seed} of {shots} labelled"
                f" exemplars and one to judge need {needed}; {way}"
            )
        exemplars += images[seed * shots : (seed + 1) * shots]
    drawn = {digests[sample.id] for sample in exemplars}
    return tuple(exemplars), tuple(sample for sample in test if digests[sample.id] not in drawn)


def _types(test: Sequence[Sample], digests: Mapping[str, str]) -> dict[str, list[Sample]]:
    """The images of each type of defect, sorted by name; of images with one content the first alone."""
    types: dict[str, list[Sample]] = defaultdict(list)
    for group in groups_of(test, digests):
        first = next((test[place] for place in group if test[place].anomalous), None)
        if first is not None:
            types[first.defect].append(first)
    return types
