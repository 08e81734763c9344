"""Finds a unit's folder among many runs: they are looked through once, and again only after there was a change."""

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
class _Look:
    """The last look at a folder: when it was changed before, when it was looked at, and what was there by then."""

    changed: int = 0
    at: int = 0
    seen: set[str] = field(default_factory=set)
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
    """Names of the folders by how their ids begin, whoever has put them there; some may be gone by now."""
    look = _last(str(out))
    try:
        changed = out.stat().st_mtime_ns
        if look.changed == changed and look.at - changed > TICK_NS:
            return look.names
        look.changed, look.at, there = changed, time.time_ns(), set(os.listdir(out))  # noqa: PTH208
    except OSError:
        return {}
    for name in sorted(there - look.seen):
        if name[0] != "." and name[-ID - 1 : -ID] == "-":
            look.names[name[-ID:]] = name
    look.seen = there
    return look.names


@lru_cache(maxsize=8)
def _last(_out: str) -> _Look:
    """Where the last look at a folder is kept."""
    return _Look()
