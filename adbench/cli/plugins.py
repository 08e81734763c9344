"""The installed plugins, for every command; each plugin that is left out is reported once, on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.registration.registry import Problem, Registry

_printed: dict[str, None] = {}
"""Lines that this command has printed."""
_used: list[Registry] = []
"""The registry, if this command has used it."""


@contextmanager
def reported_once() -> Iterator[None]:
    """Report each problem of a command once: at once, or at the end if it appeared later."""
    _printed.clear()
    _used.clear()
    try:
        yield
    finally:
        for registry in _used:
            report_problems(registry.problems)


def installed() -> Registry:
    """The registry of all installed plugins."""
    from adbench.registration import registry

    found = registry.installed()
    _used[:] = [found]
    report_problems(found.problems)
    return found


def report_problems(problems: Iterable[Problem]) -> None:
    """Print one line for each plugin, or component, that is left out; the command continues without it."""
    for problem in problems:
        line = f"left out: plugin {problem.dist!r}: {problem.reason}"
        if line not in _printed:
            _printed[line] = None
            echo(line, err=True, fg="yellow")
