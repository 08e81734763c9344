"""The files below a dataset's folder, each folder listed once: a set of 150,000 files is known in seconds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from adbench import DataError
from adbench.datasets import SUFFIXES
from adbench.errors import printable


class Folder(NamedTuple):
    """What lies in a folder, by name, without hidden files and links that lead out of the dataset."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


class Tree:
    """The files below a folder. Paths in it are texts with slashes, relative to that folder.

    Args:
        root: the folder, resolved.

    Attributes:
        outward: links that lead out of the root, as far as folders were listed; they are not followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.outward: list[str] = []
        self._known: dict[str, Folder] = {}
        self._names: dict[str, frozenset[str]] = {}

    def images(self, folder: str, suffixes: Collection[str] = SUFFIXES) -> list[str]:
        """The image files that lie in a folder itself, by name; none where the folder is not there."""
        return [f"{folder}/{name}" for name in self._at(folder).files if suffix(name) in suffixes]

    def folders(self, folder: str) -> tuple[str, ...]:
        """The names of the folders in a folder."""
        return self._at(folder).folders

    def has_folder(self, path: str) -> bool:
        """Whether a folder is there, inside the root."""
        return _is_inside(path) and (self.root / path).is_dir()

    def has(self, path: str) -> bool:
        """Whether a file is there, inside the root."""
        folder, _, name = path.rpartition("/")
        if not _is_inside(path):
            return False
        if folder not in self._names:
            self._names[folder] = frozenset(self._at(folder).files)
        return name in self._names[folder]

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
        if folder not in self._known:
            self._known[folder] = self._listed(folder)
        return self._known[folder]

    def _listed(self, folder: str) -> Folder:
        path = self.root / folder
        try:
            with os.scandir(path) as entries:
                there = [entry for entry in entries if self._counts(entry)]
        except FileNotFoundError:
            return Folder((), ())
        except OSError as error:
            raise DataError(f"{printable(path)} cannot be listed: {error.strerror}; make it readable") from None
        files = sorted(entry.name for entry in there if entry.is_file())
        return Folder(tuple(files), tuple(sorted(entry.name for entry in there if entry.is_dir())))

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            return False
        inside = not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(self.root)
        if not inside:
            self.outward.append(Path(entry.path).relative_to(self.root).as_posix())
        return inside


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and "/../" not in f"/{path}/" and "\0" not in path


def stem(path: str) -> str:
    """A file's name without folder and suffix."""
    return path.rpartition("/")[2].rpartition(".")[0]


def suffix(path: str) -> str:
    """The suffix of a file's name with its dot, in lower case."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122  150,000 Path objects take a second
