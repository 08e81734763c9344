"""The state of what is installed: files, distributions and the environment, in a form that shows each change.

Only names, sizes, times and numbers of files are read, which takes milliseconds; no module is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

MARGIN = 2.0
"""Seconds before the process's start within which no file may have changed: what was imported is then what is there."""
_MOST_WATCHED = 20_000
"""The most files of plugins that are looked at; with more of them, nothing is kept."""
_OF_A_SHELL = {"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES"}
"""Variables that change from command to command in one shell. All others count, for a plugin may read them."""

Stamp = list[Any]


@dataclass(frozen=True)
class InstalledState:
    """The installed distributions and the environment, at one moment.

    Attributes:
        key: a digest of the Python, the path and the environment: each has lists of its own.
        distributions: the folders on the path and the metadata in them, with times.
    """

    key: str
    distributions: str

    @classmethod
    def now(cls) -> InstalledState:
        """The state at this moment."""
        environment = sorted(item for item in os.environ.items() if item[0] not in _OF_A_SHELL)
        key = _digest([sys.version, sys.executable, list(sys.flags), list(map(str, sys.path)), environment])
        return cls(key, _digest(list(_metadata_on_the_path())))

    def is_unchanged(self, roots: Sequence[str], files: Sequence[str], stamp: str) -> bool:
        """Whether plugins' folders, single files and distributions are as they were when `watched` gave the stamp."""
        return self._stamp(roots, files) == stamp

    def watched(self, modules: Iterable[str]) -> tuple[list[str], list[str], str] | None:
        """What to watch after plugins were imported: folders of their packages, files of all other modules, a stamp.

        Args:
            modules: the modules that the plugins' entry points name.

        Returns:
            None where it cannot be watched: a plugin in an archive, too many files, or a file that changed a moment
            before it was imported or afterwards.
        """
        roots = sorted({folder for module in modules for folder in _places_of(module.partition(".")[0])})
        files = sorted({file for file in _module_files() if not file.startswith(_below(roots))})
        if not roots or not all(map(os.path.exists, roots)):
            return None
        found = list(_files_below(roots))
        newest = max((max(about[1:3]) for about in [*found, *map(_about, files)] if len(about) > 1), default=0)
        if len(found) >= _MOST_WATCHED or newest > (_process_start() - MARGIN) * 1e9:
            return None
        return roots, files, self._stamp(roots, files)

    def _stamp(self, roots: Sequence[str], files: Sequence[str]) -> str:
        return _digest([self.distributions, list(_files_below(roots)), [_about(file) for file in files]])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode("utf-8", "backslashreplace")).hexdigest()


def _about(path: str) -> Stamp:
    """A file's name with its times, size and number on the disk: no change leaves all of them."""
    try:
        found = os.stat(path)  # noqa: PTH116  thousands of files: a Path for each would take as long as the look
    except OSError:
        return [path]
    return [path, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def _metadata_on_the_path() -> Iterator[Stamp]:
    """Each place on Python's path with its time, and the metadata of the distributions in it."""
    for place in map(str, sys.path):
        folder = place or os.getcwd()  # noqa: PTH109  the same reason
        yield _about(folder)
        with suppress(OSError):
            for name in sorted(os.listdir(folder)):  # noqa: PTH208
                if name.endswith((".dist-info", ".egg-info")):
                    inner = f"{folder}/{name}"
                    yield from map(
                        _about, (inner, f"{inner}/entry_points.txt", f"{inner}/METADATA", f"{inner}/PKG-INFO")
                    )


def _places_of(package: str) -> Iterator[str]:
    """The folders of a package that is imported already, or the file of a module; an empty name where it has none."""
    try:
        spec = find_spec(package)
    except ValueError:  # a module that was made by hand
        spec = None
    yield from (spec.submodule_search_locations or [spec.origin or ""]) if spec else [""]


def _below(roots: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{root}{os.sep}" for root in roots)


def _files_below(roots: Iterable[str]) -> Iterator[Stamp]:
    """Every file of the plugins' packages but compiled ones, in a fixed order; at most `_MOST_WATCHED`."""
    count = 0
    for root in roots:
        if not os.path.isdir(root):  # noqa: PTH112
            yield _about(root)
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                if count == _MOST_WATCHED:
                    return
                count += 1
                yield _about(f"{folder}/{name}")


def _module_files() -> Iterator[str]:
    """The files of all modules that this process has imported."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file:
            yield file


def _process_start() -> float:
    """When this process started, in seconds since 1970."""
    import psutil

    try:
        return float(psutil.Process().create_time())
    except psutil.Error:
        return 0.0  # unknown: every file may have changed since
