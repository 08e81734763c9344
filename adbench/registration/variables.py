"""The environment variables that adbench and its plugins read, and the names that are nearly one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adbench.registration.registry import Registry

PREFIX = "ADBENCH_"
"""What the names of our variables begin with."""
_OWN = frozenset({"ADBENCH_CACHE", "ADBENCH_DATA", "ADBENCH_DISABLE"})
_CLOSE = 0.7
"""The least similarity, behind the prefix, of two names of which one may be the other, misspelt."""


def known_variables(registry: Registry) -> frozenset[str]:
    """The variables that adbench reads, that datasets read, and that plugins name in `VARIABLES`."""
    of_plugins = (getattr(plugin, "VARIABLES", ()) for _, plugin in registry.manager.list_name_plugin())
    of_datasets = (getattr(getattr(entry.cls, "source", None), "variable", "") for entry in registry.entries("dataset"))
    named = [name for names in of_plugins if isinstance(names, tuple) for name in names]
    return _OWN | {name for name in (*named, *of_datasets) if isinstance(name, str) and name.startswith(PREFIX)}


def misspelt(environment: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """A sentence for each variable that nothing reads, and whose name is nearly that of one that is read."""
    for name in sorted(environment):
        near = None if name in known else nearest_to(name, known)
        if near:
            yield f"{name} is set, but nothing reads it; did you mean {near}?"


def nearest_to(name: str, known: Collection[str]) -> str | None:
    """The known variable that was probably meant; None for a name without our prefix, or far from all."""
    if not name.startswith(PREFIX):
        return None
    ends = {full.removeprefix(PREFIX): full for full in sorted(known)}
    near = get_close_matches(name.removeprefix(PREFIX), list(ends), n=1, cutoff=_CLOSE)
    return ends[near[0]] if near else None
