"""Finds a unit's folder among many runs: the folder is looked through once, and again only after it has changed."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from adbench.engine.settings import is_here

ID = 12
"""So many characters of a unit's id end the name of its folder."""
TICK_NS = 50_000_000
"""Two changes of a folder that are nearer than this may bear the same time."""


class _Look(NamedTuple):
    changed: int
    at: int
    names: dict[str, str]


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
    names = _index(out)
    return out / next((names[key] for key in (name[-ID:], *(old[:ID] for old in former)) if key in names), name)


def _index(out: Path) -> dict[str, str]:
    """Names of the folders by how their ids begin, as they are now, whoever has put them there."""
    try:
        changed = out.stat().st_mtime_ns
    except OSError:
        return {}
    look = _last(str(out))
    if look and look[0].changed == changed and look[0].at - changed > TICK_NS:
        return look[0].names
    at = time.time_ns()
    names = {name[-ID:]: name for name in sorted(os.listdir(out)) if name[:1] != "." and name[-ID - 1 : -ID] == "-"}  # noqa: PTH208
    look[:] = [_Look(changed, at, names)]
    return names


@lru_cache(maxsize=8)
def _last(_out: str) -> list[_Look]:
    """Where the last look at a folder is kept."""
    return []
