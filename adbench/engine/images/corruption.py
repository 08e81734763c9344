"""Names and strengths of the corruptions that test the robustness of a method. Nothing here computes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
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
MOVING = ("shift", "rotation")
"""Corruptions that move the object, and its masks with it."""
STRENGTHS = (1, 2, 3, 4, 5)
ALL = "all"


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


def parse_corruptions(texts: Iterable[str]) -> tuple[Corruption, ...]:
    """The corruptions of ``all``, ``NAME`` (every strength) or ``NAME:STRENGTH``, each once, in a fixed order.

    Raises:
        UnknownName: there is no such corruption.
        UsageError: the strength is not a whole number from 1 to 5.
    """
    chosen = {corruption for text in texts for corruption in _parsed(text)}
    return tuple(corruption for corruption in EVERY if corruption in chosen)


def _parsed(text: str) -> tuple[Corruption, ...]:
    name, colon, strength = text.partition(":")
    if name == ALL and not colon:
        return EVERY
    if name not in NAMES:
        raise UnknownName("corruption", name, (ALL, *NAMES))
    if colon and strength not in map(str, STRENGTHS):
        raise UsageError(f"corruption {text!r}: write {name} for every strength, or {name}:1 to {name}:5")
    return tuple(one for one in EVERY if one.name == name and strength in ("", str(one.strength)))
