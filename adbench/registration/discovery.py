"""The installed plugins in the order of loading: a later plugin cannot take a name of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path

from adbench.registration import hookspecs

_CORE = "adbench-core"


def entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    """Entry points of our group, each once: core first, then those in the same folder, then others; older ones first.

    A plugin on another path than adbench itself, or one that was installed later, comes later.
    """
    found: dict[tuple[str, str], tuple[Distribution, EntryPoint]] = {}
    for dist in distributions():
        for point in dist.entry_points:
            if point.group == hookspecs.GROUP:
                found.setdefault((dist.name, point.name), (dist, point))
    homes = {str(dist.locate_file("")) for dist, _ in found.values() if dist.name == _CORE}
    rank = {
        key: (dist.name != _CORE, str(dist.locate_file("")) not in homes, _installed_at(dist), *key)
        for key, (dist, _) in found.items()
    }
    yield from (found[key] for key in sorted(found, key=rank.__getitem__))


def _installed_at(dist: Distribution) -> int:
    """When a distribution was installed, in nanoseconds; 0 where it is unknown."""
    folder = getattr(dist, "_path", None)  # importlib has no public name for the folder of a distribution's metadata
    try:
        return Path(str(folder)).stat().st_mtime_ns if folder is not None else 0
    except OSError:
        return 0
