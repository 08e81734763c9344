"""The cache of features on disk. Features are cached right after the backbone, so all later parts may vary for free.

A file holds one image's features. The file's name is the digest of the image. The folder's name is the digest of all
that decides the features: preparation, backbone, weights, runtime, device and bits. A file appears whole or not at all,
carries a checksum, and is read through a memory map. Any file may be deleted at any time.

Features of images that few runs read, such as corrupted ones, are passing: they never push out others, and they go
first where others need room. A run that reads more of them than there is room for keeps the first ones; to evict the
least recently used would evict each just before it is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from adbench.api.atomic_file import PRIVATE, temporary_file
from adbench.engine.features.cache_files import ABOUT_FILE, PASSING, SUFFIX, evict, evict_passing, size_of
from adbench.engine.features.cache_limit import CacheLimit
from adbench.engine.features.cached_features import CachedFeatures, packed, read_features
from adbench.engine.process.notes import Notes
from adbench.engine.process.scratch import hold_file_lock
from adbench.engine.store.record import canonical_json
from adbench.errors import StorageError

MEGABYTE = 10**6
"""Bytes, as in the option --cache-size."""

Room = Callable[[int], AbstractContextManager[bool]]
"""Makes room for so many bytes, and says whether there is any."""


@dataclass
class FeatureCache:
    """A bounded folder of features that processes share.

    Attributes:
        root: the folder; it is made when something is kept.
        limit: bytes that it may hold; None for a tenth of what the disk could give.
        note: called with a sentence once for each kind of failure. A failure of the cache never stops the work.
    """

    root: Path
    limit: int | None = None
    note: Callable[[str], None] = lambda _: None

    @cached_property
    def notes(self) -> Notes:
        """Tells each kind of trouble once."""
        return Notes(self._note)

    def _note(self, sentence: str) -> None:
        self.note(sentence)

    def folder_for(self, about: Mapping[str, Any], images: int = 0, *, passing: bool = False) -> FeatureFolder:
        """The folder for the features of one backbone with one preparation.

        Args:
            about: JSON that decides what features an image has: preparation, backbone, weights, runtime, device, bits.
            images: how many images are needed together, each counted once a view; 0 if that is not known.
            passing: whether they give way to all others.
        """
        digest = hashlib.sha256(canonical_json(about).encode()).hexdigest()
        name = f"{PASSING if passing else ''}{digest[:32]}"
        return FeatureFolder(self, self.root / name, about, images, self._guest() if passing else None)

    def _guest(self) -> Guest:
        return Guest(partial(evict_passing, self.root, before=time.time()))

    @cached_property
    def bound(self) -> CacheLimit:
        """Keeps the files of all processes together within the limit."""
        return CacheLimit(self.root, self.limit, partial(evict, self.root))


@dataclass
class Guest:
    """A folder of passing features as it stands with the rest of the cache.

    Attributes:
        shrink: deletes passing features that were last used before this folder was opened.
        refused: whether there was no room, so that nothing more is brought.
    """

    shrink: Callable[[int], int]
    refused: bool = False


@dataclass(frozen=True)
class FeatureFolder:
    """Cached features of one backbone with one preparation, by the content of images.

    Attributes:
        cache: that it belongs to.
        path: of the folder.
        about: what decides the features.
        images: how many images are needed together; 0 if that is not known.
        guest: for passing features; None for others.
    """

    cache: FeatureCache
    path: Path
    about: Mapping[str, Any]
    images: int = 0
    guest: Guest | None = None

    def has(self, digest: str) -> bool:
        """Whether there is a file for the image of this content; it may still turn out to be damaged."""
        return os.path.exists(self._file(digest))  # noqa: PTH110 - `Path.exists` raises in a folder that is closed to us

    def get(self, digest: str) -> CachedFeatures | None:
        """The features of the image of this content; None if there are none, or none that can be trusted."""
        file = self._file(digest)
        try:
            entry = read_features(file)
        except FileNotFoundError:
            return None
        except StorageError as error:
            self._delete_damaged(file, error)
            return None
        with suppress(OSError):  # a cache that may only be read does not note the time of use
            os.utime(file)
        return entry

    def _delete_damaged(self, file: Path, error: StorageError) -> None:
        """Delete a damaged file, if this process may, and tell of it."""
        try:
            file.unlink(missing_ok=True)
        except OSError as why:
            self.cache.notes.once(
                f"{error}, and cannot be thrown away ({why.strerror or why}); it is not used", "stuck"
            )
        else:
            self.cache.notes.once(f"{error}; it is thrown away and made again", "damaged")

    def put(self, digest: str, entry: CachedFeatures) -> None:
        """Keep the features of one image, if the folder can be written, and passing ones if there is room."""
        if self.guest is not None and self.guest.refused:
            return
        try:
            data = packed(entry)
            self._begin()
            self._tell_if_too_small(len(data))
            shrink = None if self.guest is None else self.guest.shrink
            if not _write(self._file(digest), data, partial(self.cache.bound.room_for, shrink=shrink)):
                self._refuse(len(data))
        except OSError as error:
            why = error.strerror or error
            self.cache.notes.once(
                f"no features are kept: {self.cache.root}: {why}; name another folder with --cache", "write"
            )

    def _refuse(self, size: int) -> None:
        if self.guest is None:
            self.cache.notes.once(f"features of {size:,} bytes are not kept: that is more than the limit", "large")
        else:
            self.guest.refused = True

    def _tell_if_too_small(self, size: int) -> None:
        """Tell once that the cache cannot hold all images that are needed together, if each takes so many bytes."""
        allowed, needed = self.cache.bound.allowed, self.images * size
        if needed > allowed:
            megabytes = -(-needed // MEGABYTE)
            self.cache.notes.once(
                f"the features of {self.images:,} images take {megabytes:,} MB, and the cache may hold"
                f" {allowed // MEGABYTE:,} MB: what it deletes is computed again; --cache-size {megabytes}MB holds"
                " them",
                "small",
            )

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}{SUFFIX}"

    def _begin(self) -> None:
        about = self.path / ABOUT_FILE
        if not about.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            _write(about, json.dumps(self.about, indent=1, sort_keys=True).encode())


def _write(file: Path, data: bytes, room: Room = lambda _: nullcontext(enter_result=True)) -> bool:
    """Write a file that appears whole, if there is room; of two that are written at once, the last one stays.

    The temporary file is locked while it is written, so that other processes know that its writer lives. A process on
    another machine may not see the lock and delete the file; then it is written again.
    """
    try:
        return _write_once(file, data, room)
    except FileNotFoundError:
        return _write_once(file, data, room)


def _write_once(file: Path, data: bytes, room: Room) -> bool:
    with temporary_file(file, PRIVATE) as temporary:
        hold_file_lock(temporary.file.fileno())
        temporary.file.write(data)
        temporary.file.flush()
        with room(len(data) - size_of(file)) as fits:
            if fits:
                temporary.publish()
    return fits
