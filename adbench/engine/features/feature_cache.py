"""Features on disk, right behind the backbone: necks, masks, banks and scorers vary for free.

A file holds one image's features. Its name is the content of the image, its folder (a shelf) what looked at it: the
preparation, the backbone, its weights, what computes it and on which device, and how many bits are kept. Files appear
whole or not at all, carry a checksum, and are read through a memory map. Anything may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.api.atomic_file import DRAFT, PRIVATE, draft_of
from adbench.api.features import Features
from adbench.api.geometry import Geometry
from adbench.engine.features.cache_limit import CacheLimit, forget
from adbench.engine.process.notes import Notes
from adbench.engine.process.scratch import is_abandoned, speak_for
from adbench.engine.store.record import canonical_json
from adbench.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor

ABOUT_FILE = "about.json"
SUFFIX = ".safetensors"

Room = Callable[[int], AbstractContextManager[bool]]
"""Makes room for so many bytes, and says whether there is any."""

_FIELDS = ("patches", "image", "foreground")
_LAYER = "layer."


@dataclass(frozen=True)
class CachedFeatures:
    """One image's features, and what they cost.

    Attributes:
        features: of one image, on the CPU; its id is the caller's.
        ms: how long it took from file to features, in milliseconds.
        runtime: what computed them.
    """

    features: Features
    ms: float
    runtime: str


@dataclass
class FeatureCache:
    """A bounded folder of features that processes share.

    Attributes:
        root: the folder; it is made when something is kept.
        limit: bytes that it may hold; None for a tenth of what the disk could give.
        note: told in a sentence what went wrong, once for each kind of trouble. No trouble here stops the work.
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

    def shelf(self, about: Mapping[str, Any]) -> Shelf:
        """The shelf for the features of one backbone with one preparation.

        Args:
            about: JSON that decides what features an image has: preparation, backbone, weights, runtime, device, bits.
        """
        digest = hashlib.sha256(canonical_json(about).encode()).hexdigest()
        return Shelf(self, self.root / digest[:32], about)

    @cached_property
    def bound(self) -> CacheLimit:
        """Keeps the files of all processes together within the limit."""
        return CacheLimit(self.root, self.limit, partial(evict, self.root))


@dataclass(frozen=True)
class Shelf:
    """Cached features of one backbone with one preparation, by the content of images."""

    cache: FeatureCache
    folder: Path
    about: Mapping[str, Any]

    def has(self, digest: str) -> bool:
        """Whether there is a file for the image of this content; it may still turn out to be damaged."""
        return os.path.exists(self._file(digest))  # noqa: PTH110 - `Path.exists` raises in a folder that is closed to us

    def get(self, digest: str) -> CachedFeatures | None:
        """The features of the image of this content; None if there are none, or none that can be trusted."""
        file = self._file(digest)
        try:
            entry = _read(file)
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
        """Keep the features of one image, if the folder can be written."""
        try:
            data = _packed(entry)
            self._begin()
            if not _write(self._file(digest), data, self.cache.bound.room_for):
                self.cache.notes.once(
                    f"features of {len(data):,} bytes are not kept: that is more than the limit", "large"
                )
        except OSError as error:
            why = error.strerror or error
            self.cache.notes.once(
                f"no features are kept: {self.cache.root}: {why}; name another folder with --cache", "write"
            )

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}{SUFFIX}"

    def _begin(self) -> None:
        about = self.folder / ABOUT_FILE
        if not about.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(about, json.dumps(self.about, indent=1, sort_keys=True).encode())


def _write(file: Path, data: bytes, room: Room = lambda _: nullcontext(enter_result=True)) -> bool:
    """Write a file that appears whole, if there is room; of two that are written at once, the last one stays.

    The draft is locked while it is written, so that a sweeper knows that its writer lives. A sweeper on another machine
    may not see the lock; then the file is written again.
    """
    try:
        return _write_once(file, data, room)
    except FileNotFoundError:
        return _write_once(file, data, room)


def _write_once(file: Path, data: bytes, room: Room) -> bool:
    with draft_of(file, PRIVATE) as draft:
        speak_for(draft.file.fileno())
        draft.file.write(data)
        draft.file.flush()
        with room(len(data) - _size(file)) as fits:
            if fits:
                draft.publish()
    return fits


def _size(file: Path) -> int:
    """Bytes of a file that may be there."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _packed(entry: CachedFeatures) -> bytes:
    """The bytes of a file: tensors, the image's geometry, the cost, and a checksum over all of it.

    A tensor that is there under two names, such as the only layer that is also the patches, is written once.
    """
    from safetensors.torch import save

    features = entry.features
    named = {name: getattr(features, name) for name in _FIELDS}
    named |= {f"{_LAYER}{name}": tensor for name, tensor in (features.layers or {}).items()}
    once: dict[tuple[object, ...], str] = {}
    twins = {
        name: once.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        for name, tensor in named.items()
        if tensor is not None
    }
    flat = {name: named[name][0].detach().cpu().clone().contiguous() for name in once.values()}
    about = {"ms": entry.ms, "runtime": entry.runtime, "layers": list(features.layers or ()), "twins": twins}
    head = canonical_json({"geometry": asdict(features.geometry[0]), **about})
    return save(flat, metadata={"head": head, "checksum": _checksum(head, flat)})


def _read(file: Path) -> CachedFeatures:
    """The features in a file, mapped into memory.

    Raises:
        FileNotFoundError: there is none.
        StorageError: it is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(file.stat().st_mode):  # to open a pipe would take for ever
            raise StorageError(f"the kept features {file} are no file")
        with safe_open(file, framework="pt") as opened:
            about = opened.metadata() or {}
            flat = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  it is no mapping
        if about.get("checksum") != _checksum(about["head"], flat):
            raise StorageError(f"the kept features {file} are damaged")
        return _entry(json.loads(about["head"]), flat)
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"the kept features {file} cannot be read ({error})") from None


def _entry(head: Mapping[str, Any], flat: Mapping[str, Tensor]) -> CachedFeatures:
    """What a file holds: its words and its tensors."""
    place, twins = head["geometry"], head["twins"]
    layers = {name: flat[twins[f"{_LAYER}{name}"]][None] for name in head["layers"]} or None
    fields = {name: flat[twins[name]][None] for name in _FIELDS if name in twins}
    geometry = Geometry(tuple(place["original"]), tuple(place["size"]), tuple(place["box"]))
    features = Features(ids=("",), geometry=(geometry,), layers=layers, **fields)
    return CachedFeatures(features, head["ms"], head["runtime"])


def _checksum(head: str, tensors: Mapping[str, Tensor]) -> str:
    """xxh3 over everything; it finds damage, it is no seal against malice (the files hold numbers and no code)."""
    import torch
    import xxhash

    digest = xxhash.xxh3_128(head.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class CacheFile:
    """A file of the cache."""

    path: Path
    size: int
    used: float


def files(root: Path) -> Iterator[CacheFile]:
    """All files that hold features; those that vanish meanwhile are left out."""
    for path in root.glob(f"*/*{SUFFIX}"):
        try:
            stat = path.stat()
        except OSError:
            continue
        yield CacheFile(path, stat.st_size, stat.st_mtime)


def evict(root: Path, target: int) -> int:
    """Delete the least recently used files until the rest has at most `target` bytes; returns the bytes of the rest.

    What dead writers left behind goes first.
    """
    sweep_drafts(root)
    there = sorted(files(root), key=lambda item: item.used)
    total = sum(item.size for item in there)
    for item in there:
        if total <= target:
            break
        item.path.unlink(missing_ok=True)
        total -= item.size
    return total


def sweep_drafts(root: Path) -> tuple[int, int]:
    """Delete drafts that nobody writes any more; returns how many, and their bytes."""
    count = freed = 0
    for draft in list(abandoned(root)):
        with suppress(OSError):
            count, freed = count + 1, freed + _size(draft)
            draft.unlink(missing_ok=True)
    return count, freed


def abandoned(root: Path) -> Iterator[Path]:
    """Drafts that nobody writes any more."""
    for draft in root.glob(f"*/{DRAFT}*"):
        if is_abandoned(draft):
            yield draft


@dataclass(frozen=True)
class ShelfInfo:
    """What ``adbench cache info`` says of a shelf."""

    folder: Path
    about: Mapping[str, Any]
    images: int
    size: int
    used: float


def shelves(root: Path) -> Sequence[ShelfInfo]:
    """All shelves, the most recently used first."""
    found: dict[Path, list[CacheFile]] = {about.parent: [] for about in root.glob(f"*/{ABOUT_FILE}")}
    for item in files(root):
        found.setdefault(item.path.parent, []).append(item)
    infos = [
        ShelfInfo(
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
    """Delete all shelves, and nothing else that may lie in the folder; returns the bytes that were freed.

    Raises:
        StorageError: a file cannot be deleted.
    """
    freed = 0
    for info in shelves(root):
        try:
            shutil.rmtree(info.folder)
        except OSError as error:
            raise StorageError(f"cannot clear {info.folder}: {error.strerror or error}") from None
        freed += info.size
    forget(root)
    return freed
