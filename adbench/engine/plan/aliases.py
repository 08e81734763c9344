"""Aliases of the images of a unit, for components: they reveal no file, folder, category or label."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from adbench.api.dataset import Sample

LENGTH = 16
"""Hexadecimal digits of an alias."""

_ALIAS = re.compile(rf"\b[0-9a-f]{{{LENGTH}}}\b")


def aliases_of(samples: Sequence[Sample], digests: Mapping[str, str], salt: str) -> dict[str, str]:
    """The alias of each image, by its id.

    An alias is a hash of the content of image and mask. So it does not depend on the folder, it is the same everywhere
    in the unit, and sorting by it gives a neutral order. Images of one content are numbered in the order of their ids.

    Args:
        samples: all images of the unit.
        digests: the content of each image, by id.
        salt: differs between units, so that nobody can list the aliases of a public dataset.
    """
    numbers: Counter[str] = Counter()
    aliases = {}
    for sample in sorted(samples, key=lambda sample: sample.id):
        digest = digests[sample.id]
        numbers[digest] += 1
        aliases[sample.id] = hashlib.sha256(f"{salt}/{digest}/{numbers[digest]}".encode()).hexdigest()[:LENGTH]
    return aliases


def blind_order(samples: Iterable[Sample], aliases: Mapping[str, str]) -> tuple[Sample, ...]:
    """The images sorted by alias: an order that reveals no label."""
    return tuple(sorted(samples, key=lambda sample: aliases[sample.id]))


def with_ids(text: str, aliases: Mapping[str, str]) -> str:
    """A message with ids, which a user knows, instead of aliases."""
    ids = {alias: name for name, alias in aliases.items()}
    return _ALIAS.sub(lambda match: ids.get(match[0], match[0]), text)
