"""The installed plugins in the order of loading: a later plugin cannot take a name of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, NamedTuple

from adbench.registration import hookspecs

_CORE = "adbench-core"


class Found(NamedTuple):
    """An entry point of a plugin.

    Attributes:
        name, version: of the distribution.
        point: names the plugin's module.
    """

    name: str
    version: str
    point: EntryPoint


def entry_points() -> Iterator[Found]:
    """Entry points of our group, each once: core first, then those in the same folder, then others; older ones first.

    A plugin on another path than adbench itself, or one that was installed later, comes later.
    """
    found: dict[tuple[str, str], tuple[Distribution, Found]] = {}
    for dist in distributions():
        ours = [point for point in dist.entry_points if point.group == hookspecs.GROUP]
        about: Any = dist.metadata if ours else {}  # read once: it is parsed each time
        for point in ours:
            found.setdefault((about["Name"], point.name), (dist, Found(about["Name"], about["Version"], point)))
    homes = {str(dist.locate_file("")) for (name, _), (dist, _) in found.items() if name == _CORE}
    rank = {
        key: (key[0] != _CORE, str(dist.locate_file("")) not in homes, _installed_at(dist), *key)
        for key, (dist, _) in found.items()
    }
    yield from (found[key][1] for key in sorted(found, key=rank.__getitem__))


def _installed_at(dist: Distribution) -> int:
    """When a distribution was installed, in nanoseconds; 0 where it is unknown."""
    folder = getattr(dist, "_path", None)  # importlib has no public name for the folder of a distribution's metadata
    try:
        return Path(str(folder)).stat().st_mtime_ns if folder is not None else 0
    except OSError:
        return 0
