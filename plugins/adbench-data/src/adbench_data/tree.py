"""The files below a dataset's folder, each folder listed once: a set of 150,000 files is known in seconds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from adbench import DataError
from adbench.datasets import SUFFIXES
from adbench.errors import printable

_OUTWARD = "is a link that leads out of the dataset's folder; copy what it leads to"
_INWARD = "is a link to a folder; name that folder itself"


class Folder(NamedTuple):
    """What lies in a folder, by name, without hidden files.

    Attributes:
        files: the files; links to files inside of the root are among them.
        folders: the folders; links are not.
    """

    files: dict[str, None]
    folders: dict[str, None]


class Tree:
    """The files below a folder. Paths in it are texts with slashes, relative to that folder.

    No link to a folder is followed, and none that leads out of the root: a dataset may be untrusted, and links may
    go in a circle.

    Args:
        root: the folder, resolved.

    Attributes:
        unfollowed: links that are not followed, as far as folders were listed, with the reason.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unfollowed: dict[str, str] = {}
        self._known: dict[str, Folder] = {}

    def images(self, folder: str, suffixes: Collection[str] = SUFFIXES) -> list[str]:
        """The image files that lie in a folder itself, by name; none where the folder is not there."""
        return [f"{folder}/{name}" for name in self._at(folder).files if suffix(name) in suffixes]

    def files(self, folder: str) -> tuple[str, ...]:
        """The names of the files in a folder."""
        return tuple(self._at(folder).files)

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders in a folder."""
        return tuple(self._at(folder).folders)

    def has_folder(self, path: str) -> bool:
        """Whether a folder is there, inside the root."""
        parent, _, name = path.rpartition("/")
        return not path or name in self._at(parent).folders

    def has(self, path: str) -> bool:
        """Whether a file is there, inside the root."""
        folder, _, name = path.rpartition("/")
        return name in self._at(folder).files

    def walk(self, folder: str) -> Iterator[str]:
        """All files below a folder."""
        here = self._at(folder)
        start = f"{folder}/" if folder else ""
        yield from (start + name for name in here.files)
        for name in here.folders:
            yield from self.walk(start + name)

    def by_stem(self, folder: str, suffixes: Collection[str]) -> dict[str, str]:
        """The image files of a folder, by their names without the suffix.

        Raises:
            DataError: two files have one name but for the suffix.
        """
        found: dict[str, str] = {}
        for path in self.images(folder, suffixes):
            other = found.setdefault(stem(path), path)
            if other != path:
                raise DataError(f"{printable(other)} and {printable(path)} have one name but for the suffix; keep one")
        return found

    def _at(self, folder: str) -> Folder:
        """What is in a folder; nothing where it is not there, or a link is on the way to it."""
        if folder not in self._known:
            self._known[folder] = self._listed(folder) if self.has_folder(folder) else Folder({}, {})
        return self._known[folder]

    def _listed(self, folder: str) -> Folder:
        path = self.root / folder
        try:
            with os.scandir(path) as entries:
                there = sorted((entry for entry in entries if self._counts(entry)), key=lambda entry: entry.name)
        except FileNotFoundError:
            return Folder({}, {})
        except OSError as error:
            raise DataError(f"{printable(path)} cannot be listed: {error.strerror}; make it readable") from None
        files = dict.fromkeys(entry.name for entry in there if entry.is_file())
        return Folder(files, dict.fromkeys(entry.name for entry in there if entry.is_dir()))

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            return False
        if not entry.is_symlink():
            return True
        inside = _leads_inside(Path(entry.path), self.root)
        if not inside or entry.is_dir():
            self.unfollowed[Path(entry.path).relative_to(self.root).as_posix()] = _INWARD if inside else _OUTWARD
            return False
        return True


def _leads_inside(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle
        return False


def stem(path: str) -> str:
    """A file's name without folder and suffix."""
    return path.rpartition("/")[2].rpartition(".")[0]


def suffix(path: str) -> str:
    """The suffix of a file's name with its dot, in lower case."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122  150,000 Path objects take a second
