"""Image files that arrive in a folder, each taken once and when it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from adbench.detector.fit.folders import files_so_far


class Poll(NamedTuple):
    """What is new in a folder.

    Attributes:
        ready: files that have not changed since the poll before, sorted.
        waiting: how many files are new or still grow.
    """

    ready: list[Path]
    waiting: int


class Arrivals:
    """Finds the image files that arrive in a folder and in the folders below it.

    A file is ready when its size and time of change are those of the poll before. It is known by its path: a file that
    takes the place of a known one is not new.

    Args:
        folder: where files arrive.
        known: paths of files below the folder that were taken before, as `name_of` gives them.
    """

    def __init__(self, folder: Path, known: Iterable[str] = ()) -> None:
        self.folder = folder
        self._known = set(known)
        self._before: dict[Path, tuple[int, int]] = {}

    def poll(self) -> Poll:
        """List the folder once.

        Raises:
            DataError: the folder cannot be listed.
        """
        new = [path for path in files_so_far(self.folder) if self.name_of(path) not in self._known]
        now = _states(new)
        ready = [path for path, state in now.items() if self._before.get(path) == state]
        self._before = now
        return Poll(ready, len(now) - len(ready))

    def take(self, path: Path) -> None:
        """Know a file from now on."""
        self._known.add(self.name_of(path))

    def name_of(self, path: Path) -> str:
        """The path below the folder, as tables can hold it."""
        name = path.relative_to(self.folder).as_posix()
        return name.encode("utf-8", "backslashreplace").decode()


def _states(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of change of the files that are still there."""
    found = {}
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            found[path] = (status.st_size, status.st_mtime_ns)
    return found
