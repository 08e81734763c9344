"""Sentences for the user, each passed on once."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Notes:
    """Passes on each sentence the first time that it comes.

    Args:
        report: called with each new sentence.
    """

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report, self._reported = report, set[str]()

    def once(self, sentence: str, kind: str = "") -> None:
        """Report a sentence, unless it, or with a `kind` one of its kind, was reported before."""
        key = kind or sentence
        if key not in self._reported:
            self._reported.add(key)
            self._report(sentence)

    def each_once(self, sentences: Iterable[str]) -> None:
        """Report those sentences that were not reported before."""
        for sentence in sentences:
            self.once(sentence)
