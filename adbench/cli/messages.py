"""Problems of many runs: each message is printed once, with the number of runs."""

from __future__ import annotations

from pathlib import Path

from adbench.cli.screen import counted, echo, listed

SHOWN = 3
"""Number of runs that a message names."""


class ProblemTally:
    """A tally of messages about runs, each with its runs.

    Args:
        noun: "run" or "method".
    """

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._errors: dict[str, list[str]] = {}
        self._left_out: dict[str, list[str]] = {}

    @property
    def failed(self) -> int:
        """Number of runs with an error."""
        return sum(map(len, self._errors.values()))

    def error(self, sentence: str, run: Path | str) -> None:
        """Add an error of a run that cannot be used."""
        self._errors.setdefault(sentence, []).append(str(run))

    def left_out(self, sentence: str, run: Path | str) -> None:
        """Add the reason why a run is left out without an error."""
        self._left_out.setdefault(sentence, []).append(str(run))

    def show(self) -> None:
        """Print all messages on standard error, errors last."""
        for sentence, runs in self._left_out.items():
            echo(f"{self._who(runs)}: left out: {sentence}", err=True)
        for sentence, runs in self._errors.items():
            echo(f"error: {self._who(runs)}: {sentence}", err=True)

    def _who(self, runs: list[str]) -> str:
        return runs[0] if len(runs) == 1 else f"{counted(len(runs), self.noun)} ({listed(runs, SHOWN)})"
