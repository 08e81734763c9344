"""Sentences for the user, each told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Notes:
    """Tells sentences that were not told before.

    Args:
        tell: takes a sentence.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell, self._told = tell, set[str]()

    def once(self, sentence: str, kind: str = "") -> None:
        """Tell a sentence, unless it was told before; with a `kind`, unless one of its kind was."""
        key = kind or sentence
        if key not in self._told:
            self._told.add(key)
            self._tell(sentence)

    def each_once(self, sentences: Iterable[str]) -> None:
        """Tell those sentences that were not told before."""
        for sentence in sentences:
            self.once(sentence)
