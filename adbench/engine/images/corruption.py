"""Names and strengths of the corruptions that test the robustness of a method. Nothing here computes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from adbench.errors import UnknownName, UsageError

VERSION = 1
"""Grows when a corruption changes: figures of different versions are never compared."""
NAMES = (
    "brightness",
    "contrast",
    "gamma",
    "side-light",
    "defocus",
    "motion-blur",
    "noise",
    "jpeg",
    "shift",
    "rotation",
)
IMAGENET_C = tuple(
    f"c-{name}"
    for name in str.split(
        "gaussian-noise shot-noise defocus-blur motion-blur zoom-blur snow frost fog"
        " brightness contrast elastic-transform pixelate jpeg-compression"
    )
)
"""Those of ImageNet-C, of a package that is installed besides; ``imagenet-c`` chooses all of them.

Impulse noise and glass blur are left out: the package draws them from generators that nobody can seed.
"""
MOVING = ("shift", "rotation")
"""Corruptions that move the object, and its masks with it."""
STRENGTHS = (1, 2, 3, 4, 5)
ALL = "all"
PACKAGE = "imagecorruptions"
"""The module of ImageNet-C's corruptions."""
DISTRIBUTION = "imagecorruptions-imaug"
"""The package that has the module."""


class Corruption(NamedTuple):
    """A corruption in one strength, written as ``defocus:3``."""

    name: str
    strength: int

    def __str__(self) -> str:
        return f"{self.name}:{self.strength}"

    @property
    def moves(self) -> bool:
        """Whether masks have to be moved as well."""
        return self.name in MOVING

    def seed(self, content: str) -> int:
        """The seed of the draw for an image. All strengths share it, so only the strength differs between them.

        Args:
            content: stands for the image's content, such as a digest.
        """
        text = f"corruption/{VERSION}/{self.name}/{content}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")

    def digest(self, content: str) -> str:
        """Stands for the content of the corrupted image: name, strength and version of the corruption decide it.

        Those of ImageNet-C also depend on the version of the package that computes them; where that is not known, the
        result is empty.

        Args:
            content: stands for the clean image's content.
        """
        made_by = _package_version() if self.name in IMAGENET_C else "adbench"
        text = f"corrupted/{VERSION}/{made_by}/{self}/{content}"
        return hashlib.sha256(text.encode()).hexdigest() if made_by else ""


def _package_version() -> str:
    """The name and version of ImageNet-C's package; empty where it is installed under another name."""
    try:
        return f"{DISTRIBUTION} {version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return ""


def amount_at(amounts: Sequence[float], level: float, nothing: float = 0.0) -> float:
    """The amount of a corruption at a level: at 0 it is `nothing`, at a strength it is that of the strength.

    Args:
        amounts: for strengths 1 to 5.
        level: from 0 to 5; between two strengths the amount is interpolated linearly.
        nothing: the amount that leaves an image as it is.
    """
    steps, below = (nothing, *amounts), int(level)
    share = level - below
    return steps[below] + share * (steps[below + 1] - steps[below]) if share else steps[below]


EVERY = tuple(Corruption(name, strength) for name in NAMES for strength in STRENGTHS)


OF_IMAGENET_C = tuple(Corruption(name, strength) for name in IMAGENET_C for strength in STRENGTHS)
KNOWN = (*EVERY, *OF_IMAGENET_C)
"""Every corruption that a report may hold, in the order of its rows."""


def parse_corruptions(texts: Iterable[str]) -> tuple[Corruption, ...]:
    """The corruptions of ``all``, ``NAME`` (every strength) or ``NAME:STRENGTH``, each once, in a fixed order.

    ``all`` stands for adbench's own ten, ``imagenet-c`` for ImageNet-C's.

    Raises:
        UnknownName: there is no such corruption.
        UsageError: the strength is not a whole number from 1 to 5, or ImageNet-C's package is missing.
    """
    chosen = {corruption for text in texts for corruption in _parsed(text)}
    if chosen.intersection(OF_IMAGENET_C) and find_spec(PACKAGE) is None:
        raise UsageError(f"ImageNet-C's corruptions need {PACKAGE}; run 'pip install adbench-core[imagenet-c]'")
    return tuple(corruption for corruption in KNOWN if corruption in chosen)


def _parsed(text: str) -> tuple[Corruption, ...]:
    name, colon, strength = text.partition(":")
    groups = {ALL: EVERY, "imagenet-c": OF_IMAGENET_C}
    if name in groups and not colon:
        return groups[name]
    if name not in (*NAMES, *IMAGENET_C):
        raise UnknownName("corruption", name, (*groups, *NAMES, *IMAGENET_C))
    if colon and strength not in map(str, STRENGTHS):
        raise UsageError(f"corruption {text!r}: write {name} for every strength, or {name}:1 to {name}:5")
    return tuple(one for one in KNOWN if one.name == name and strength in ("", str(one.strength)))
