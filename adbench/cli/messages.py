"""What is wrong with many runs is said once, with how many it concerns."""

from __future__ import annotations

from pathlib import Path

from adbench.cli.screen import counted, echo, listed

SHOWN = 3
"""Runs that are named of those that one sentence concerns."""


class ProblemTally:
    """Sentences about runs, each with the runs that it holds for.

    Args:
        noun: what they are called: "run", or "method".
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._errors: dict[str, list[str]] = {}
        self._left_out: dict[str, list[str]] = {}

    @property
    def failed(self) -> int:
        """Of how many something is wrong."""
        return sum(map(len, self._errors.values()))

    def error(self, sentence: str, run: Path | str) -> None:
        """A run cannot be used."""
        self._errors.setdefault(sentence, []).append(str(run))

    def left_out(self, sentence: str, run: Path | str) -> None:
        """A run is passed over, and nothing is wrong with that."""
        self._left_out.setdefault(sentence, []).append(str(run))

    def show(self) -> None:
        """Say all of it on standard error, what is wrong last."""
        for sentence, runs in self._left_out.items():
            echo(f"{self._who(runs)}: left out: {sentence}", err=True)
        for sentence, runs in self._errors.items():
            echo(f"error: {self._who(runs)}: {sentence}", err=True)

    def _who(self, runs: list[str]) -> str:
        return runs[0] if len(runs) == 1 else f"{counted(len(runs), self.noun)} ({listed(runs, SHOWN)})"
