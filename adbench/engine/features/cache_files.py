"""The files of the feature cache: list, evict, clean up, describe and clear them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adbench.api.atomic_file import TEMPORARY
from adbench.engine.features.cache_limit import forget
from adbench.engine.process.scratch import is_abandoned
from adbench.errors import StorageError

ABOUT_FILE = "about.json"
SUFFIX = ".safetensors"
PASSING = "passing-"
"""Begins the names of folders whose features give way to all others."""


@dataclass(frozen=True)
class CacheFile:
    """A file of the cache."""

    path: Path
    size: int
    used: float

    @property
    def passing(self) -> bool:
        """Whether it gives way to files of other folders."""
        return self.path.parent.name.startswith(PASSING)


def files(root: Path) -> Iterator[CacheFile]:
    """All files that hold features; those that vanish meanwhile are left out."""
    for path in root.glob(f"*/*{SUFFIX}"):
        try:
            stat = path.stat()
        except OSError:
            continue
        yield CacheFile(path, stat.st_size, stat.st_mtime)


def evict(root: Path, target: int) -> int:
    """Delete files until the rest has at most `target` bytes; returns the bytes of the rest.

    Temporary files of dead writers go first, then passing features, then the others; each time the least recently used.
    """
    delete_abandoned(root)
    there = sorted(files(root), key=lambda item: (not item.passing, item.used))
    return _deleted(there, sum(item.size for item in there), target)


def evict_passing(root: Path, target: int, before: float) -> int:
    """As `evict`, but delete only passing features that were last used before a time: more may be left.

    Args:
        root: of the cache.
        target: bytes that the rest should have.
        before: in seconds since the epoch.
    """
    delete_abandoned(root)
    there = sorted(files(root), key=lambda item: item.used)
    idle = [item for item in there if item.passing and item.used < before]
    return _deleted(idle, sum(item.size for item in there), target)


def _deleted(candidates: Sequence[CacheFile], total: int, target: int) -> int:
    """Delete files in this order until `total` is at most `target`; returns the new total."""
    for item in candidates:
        if total <= target:
            break
        item.path.unlink(missing_ok=True)
        total -= item.size
    return total


def delete_abandoned(root: Path) -> tuple[int, int]:
    """Delete temporary files without a living writer; returns how many, and their bytes."""
    count = freed = 0
    for temporary in list(abandoned(root)):
        with suppress(OSError):
            count, freed = count + 1, freed + size_of(temporary)
            temporary.unlink(missing_ok=True)
    return count, freed


def abandoned(root: Path) -> Iterator[Path]:
    """Temporary files without a living writer."""
    for temporary in root.glob(f"*/{TEMPORARY}*"):
        if is_abandoned(temporary):
            yield temporary


@dataclass(frozen=True)
class FolderInfo:
    """A folder of the cache, as ``adbench cache info`` shows it."""

    folder: Path
    about: Mapping[str, Any]
    images: int
    size: int
    used: float


def feature_folders(root: Path) -> Sequence[FolderInfo]:
    """The cache's folders of features, the most recently used first."""
    found: dict[Path, list[CacheFile]] = {about.parent: [] for about in root.glob(f"*/{ABOUT_FILE}")}
    for item in files(root):
        found.setdefault(item.path.parent, []).append(item)
    infos = [
        FolderInfo(
            folder,
            _about(folder),
            len(items),
            sum(item.size for item in items),
            max((i.used for i in items), default=0.0),
        )
        for folder, items in found.items()
    ]
    return sorted(infos, key=lambda info: -info.used)


def _about(folder: Path) -> Mapping[str, Any]:
    try:
        about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def clear(root: Path) -> int:
    """Delete all folders of features, and nothing else that may lie in the folder; returns the bytes that were freed.

    Raises:
        StorageError: a file cannot be deleted.
    """
    freed = 0
    for info in feature_folders(root):
        try:
            shutil.rmtree(info.folder)
        except OSError as error:
            raise StorageError(f"cannot clear {info.folder}: {error.strerror or error}") from None
        freed += info.size
    forget(root)
    return freed


def size_of(file: Path) -> int:
    """Bytes of a file that may be there."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
