"""The installed plugins, as every command asks for them; what is left out is told once, on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.registry import Problem, Registry

_told: dict[str, None] = {}
"""Lines that this command has told."""
_asked: list[Registry] = []
"""The registry, where this command has asked for it."""


@contextmanager
def told_once() -> Iterator[None]:
    """While a command runs, each problem is told once: at once, or at the end where it turned out only at work."""
    _told.clear()
    _asked.clear()
    try:
        yield
    finally:
        for registry in _asked:
            tell(registry.problems)


def installed() -> Registry:
    """What all installed plugins offer."""
    from adbench import registry

    found = registry.installed()
    _asked[:] = [found]
    tell(found.problems)
    return found


def tell(problems: Iterable[Problem]) -> None:
    """A line for each plugin, or component of one, that is left out; the command goes on without it."""
    for problem in problems:
        line = f"left out: plugin {problem.dist!r}: {problem.reason}"
        if line not in _told:
            _told[line] = None
            echo(line, err=True, fg="yellow")
