"""Finds a unit's folder among many runs. The folder of runs is listed once, and again only after a change."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from adbench.engine.process.location import is_here

ID = 12
"""So many characters of a unit's id end the name of its folder."""
TICK_NS = 50_000_000
"""Two changes of a folder that are nearer than this may bear the same time."""


@dataclass
class _Listing:
    """The last listing of a folder: its time of change, the time of the listing, and its content."""

    changed: int = 0
    at: int = 0
    known: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)


def folder_of(out: Path, name: str, *former: str) -> Path:
    """The folder of a unit: that of an earlier run of it under another name of its recipe, if there is one.

    Args:
        out: the folder of runs.
        name: of the unit's own folder, which ends in a dash and the first `ID` characters of its id.
        former: ids that the unit had in older versions.
    """
    own = out / name
    if own.exists() or not is_here(out):
        return own
    keys = (name[-ID:], *(old[:ID] for old in former))
    found = next((names[key] for names in [_index(out)] for key in keys if key in names), name)
    if found != name and not (out / found).exists():  # it has gone, and perhaps another one is behind it
        _last.cache_clear()
        names = _index(out)
        found = next((names[key] for key in keys if key in names), name)
    return out / found


def _index(out: Path) -> Mapping[str, str]:
    """Names of the folders by the first characters of their ids, of all processes; some may be deleted by now."""
    listing = _last(str(out))
    try:
        changed = out.stat().st_mtime_ns
        if listing.changed == changed and listing.at - changed > TICK_NS:
            return listing.names
        listing.changed, listing.at, there = changed, time.time_ns(), set(os.listdir(out))  # noqa: PTH208
    except OSError:
        return {}
    for name in sorted(there - listing.known):
        if name[0] != "." and name[-ID - 1 : -ID] == "-":
            listing.names[name[-ID:]] = name
    listing.known = there
    return listing.names


@lru_cache(maxsize=8)
def _last(_out: str) -> _Listing:
    """The last listing of a folder; a new one is empty."""
    return _Listing()
