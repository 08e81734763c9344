"""The installed plugins, for every command; each plugin that is left out is reported once, on standard error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.registration.listing import Listing
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
    from adbench.registration.variables import known_variables, misspelt

    found = registry.installed()
    _used[:] = [found]
    report_problems(found.problems)
    _print_once(*misspelt(os.environ, known_variables(found)))
    return found


def listing() -> Listing:
    """The names and options of everything that is installed: kept from an earlier command if nothing has changed."""
    from adbench.engine.process.location import cache_folder
    from adbench.registration.listing import listed

    place = os.environ.get("ADBENCH_CACHE")
    return listed(None if place == "none" else cache_folder(place))


def report_problems(problems: Iterable[Problem]) -> None:
    """Print one line for each plugin, or component, that is left out; the command continues without it."""
    _print_once(*(f"left out: plugin {problem.dist!r}: {problem.reason}" for problem in problems))


def _print_once(*lines: str) -> None:
    for line in lines:
        if line not in _printed:
            _printed[line] = None
            echo(line, err=True, fg="yellow")
