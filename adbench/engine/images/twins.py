"""Groups of images with the same content, which must stay together: one of them would reveal the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adbench.api.dataset import Sample


def groups_of(samples: Sequence[Sample], digests: Mapping[str, str]) -> list[list[int]]:
    """Groups of the places of images with the same content; most groups have one image.

    Images that are only nearly the same, such as a file that was saved again, are in different groups;
    ``adbench data verify`` reports them.

    Args:
        samples: some images.
        digests: the content of each image, by id.

    Returns:
        Groups of places in `samples`, in the order of the ids.
    """
    groups: dict[str, list[int]] = {}
    for place in sorted(range(len(samples)), key=lambda place: samples[place].id):
        groups.setdefault(digests[samples[place].id], []).append(place)
    return list(groups.values())


def repeated(samples: Sequence[Sample], digests: Mapping[str, str]) -> int:
    """The number of images with the content of another one."""
    return sum(len(group) for group in groups_of(samples, digests) if len(group) > 1)
