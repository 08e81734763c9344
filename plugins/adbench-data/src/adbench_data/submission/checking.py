"""A dry run of a submission: every file is read as a server may read it. The package may come from a stranger."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from adbench import StorageError
from adbench.errors import printable
from adbench_data.submission import files
from adbench_data.submission.files import MAPS, MASKS, SPLITS, Place, place_of

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 64 << 20
"""Largest size of a file in a package; the largest map of MVTec AD 2 has about 10 MiB."""
MAX_PIXELS = 1 << 25
FEW_LEVELS = 256
"""Fewer different values than these in all maps of an object are reported: curves then have as few points."""
SHOWN = 20

Size: TypeAlias = "tuple[int, int]"
_File: TypeAlias = "tuple[str, int, Callable[[], bytes]]"
"""Name, size, and what reads the content."""


@dataclass
class CheckResult:
    """What a check has found.

    Attributes:
        files: number of files that were read.
        problems: sentences, of each kind at most some; the package would be refused, or judged wrongly.
        notes: sentences about what is allowed and may be unwanted.
    """

    files: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(package: Path, sizes: Mapping[Place, Size]) -> CheckResult:
    """Check a package: names, numbers, sizes, types, finite values, ties. Nothing is unpacked to the disk.

    Args:
        package: a ``.tar.gz``, or a folder.
        sizes: height and width of each private image; none where the dataset is not here. Then the numbers of files
            are checked, and not which ones they are.

    Raises:
        StorageError: it cannot be read at all.
    """
    checking = _Checking(sizes)
    try:
        for name, size, read in _files(package):
            if not checking.take(name, size, read):
                break
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as error:
        raise StorageError(f"{package}: no whole .tar.gz file: {printable(error)}; pack it again") from None
    return checking.end()


def _files(package: Path) -> Iterator[_File]:
    if package.is_dir():
        for path in sorted(package.rglob("*")):
            name = path.relative_to(package).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                yield name, -1, bytes
            elif path.is_file():
                yield name, path.stat().st_size, path.read_bytes
        return
    with gzip.GzipFile(package) as packed:
        archive: Any = tarfile.open(fileobj=cast("IO[bytes]", _Bounded(packed)), mode="r:")  # noqa: SIM115  packed closes
        while (entry := archive.next()) is not None:
            archive.members.clear()  # a stranger's archive may have any number of entries
            if not entry.isdir():
                yield entry.name.removeprefix("./"), entry.size if entry.isreg() else -1, _reader(archive, entry)


class _Bounded:
    """The unpacked bytes of an archive. A read of more than a file may have is refused: headers have sizes, too."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed
        self.seek, self.tell = packed.seek, packed.tell

    def read(self, size: int) -> bytes:
        """At most so many bytes."""
        if not 0 <= size <= MAX_BYTES + 1:
            raise ValueError(f"it has a header of more than {MAX_BYTES >> 20} MiB")
        return self._packed.read(size)


def _reader(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        file = archive.extractfile(entry)
        return b"" if file is None else file.read(MAX_BYTES + 1)

    return read


class _Checking:
    """A check that goes on."""

    def __init__(self, sizes: Mapping[Place, Size]) -> None:
        self._sizes, self._result = sizes, CheckResult()
        self._found: dict[str, dict[Place, Size | None]] = {MAPS: {}, MASKS: {}}
        self._values: dict[str, set[int]] = defaultdict(set)
        self._kinds: Counter[str] = Counter()

    def take(self, name: str, size: int, read: Callable[[], bytes]) -> bool:
        """Check a file; returns whether the next one is worth reading."""
        known = place_of(name)
        if size > MAX_BYTES:
            self._wrong("too large", f"{printable(name)} has more than {MAX_BYTES >> 20} MiB; the check ends here")
            return False
        if size < 0:
            self._wrong("no file", f"{printable(name)} is a link or a device; a package holds files alone")
        elif known is None or not (known[1] in self._sizes if self._sizes else known[1].may_be):
            self._wrong("unknown", f"{printable(name)} is no file of a submission; remove it")
        elif known[1] in self._found[known[0]]:
            self._wrong("twice", f"{printable(name)} is there twice")
        else:
            self._result.files += 1
            self._found[known[0]][known[1]] = self._size_of(*known, read())
        return self._kinds.total() < 1000

    def _size_of(self, folder: str, place: Place, content: bytes) -> Size | None:
        name = place.file(folder)
        try:
            pixels = _map_in(content) if folder == MAPS else _mask_in(content)
        except Exception as error:  # noqa: BLE001  a stranger's file may make a decoder raise anything
            self._wrong("unreadable", f"{name}: {printable(error)}")
            return None
        if folder == MAPS:
            self._look_at_map(name, place, pixels)
        elif not set(_unique(pixels)) <= {0, 255}:
            self._wrong("grays", f"{name} has other values than 0 and 255; threshold it")
        size = pixels.shape[0], pixels.shape[1]
        wanted = self._sizes.get(place)
        if wanted is not None and size != wanted:
            self._wrong("size", f"{name} has {_words(size)} pixels, its image {_words(wanted)}; undo every resize")
        return size

    def _look_at_map(self, name: str, place: Place, pixels: np.ndarray) -> None:
        import numpy as np

        wrong = int((~np.isfinite(pixels)).sum())
        if wrong:
            overflow = f"{wrong} values that are not finite; float16 ends at 65504: scale the scores of the object down"
            self._wrong("finite", f"{name} has {overflow}")
        self._values[place.category].update(_unique(pixels.view(np.uint16)))

    def end(self) -> CheckResult:
        """The result, when all files were taken."""
        self._look_for_missing()
        both = self._found[MAPS].keys() & self._found[MASKS].keys()
        for place in sorted(both):
            sizes = self._found[MAPS][place], self._found[MASKS][place]
            if None not in sizes and sizes[0] != sizes[1]:
                self._wrong("pair", f"{place.file(MASKS)} has another size than its map")
        for category, values in sorted(self._values.items()):
            if len(values) < FEW_LEVELS:
                ties = f"only {len(values)} different values in all maps; scale its scores before they become float16"
                self._result.notes.append(f"{category}: {ties}")
        if self._found[MAPS] and not self._sizes:
            self._result.notes.append("names and sizes were not compared with the images: the dataset is not here")
        for kind, count in self._kinds.items():
            if count > SHOWN:
                self._result.problems.append(f"and {count - SHOWN} more of this kind ({kind})")
        return self._result

    def _look_for_missing(self) -> None:
        for folder in (MAPS, MASKS):
            if folder == MASKS and not self._found[MASKS]:
                self._result.notes.append("no thresholded masks: the server then gives no SegF1")
                continue
            there = Counter((place.category, place.split) for place in self._found[folder])
            for category, count in files.PRIVATE.items():
                for split in SPLITS:
                    if there[category, split] != count:
                        numbers = f"has {there[category, split]} files, and {count} images were published"
                        self._wrong(f"numbers in {folder}", f"{folder}/{category}/{split} {numbers}")

    def _wrong(self, kind: str, sentence: str) -> None:
        self._kinds[kind] += 1
        if self._kinds[kind] <= SHOWN:
            self._result.problems.append(sentence)


def _map_in(content: bytes) -> np.ndarray:
    """[H, W] float16."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        if len(file.pages) != 1:
            raise ValueError(f"has {len(file.pages)} pages, and a map is one")
        page = file.pages.first
        if page.dtype is None or str(page.dtype) != "float16":
            raise ValueError(f"has values of the type {page.dtype}; the server wants float16")
        if len(page.shape) != 2 or page.shape[0] * page.shape[1] > MAX_PIXELS:
            raise ValueError(f"has the shape {'x'.join(map(str, page.shape))}; a map has one channel")
        pixels: np.ndarray = page.asarray()
    return pixels


def _mask_in(content: bytes) -> np.ndarray:
    """[H, W] uint8."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        if image.mode not in ("L", "1") or image.width * image.height > MAX_PIXELS:
            raise ValueError(
                f"is of mode {image.mode} with {image.width}x{image.height} pixels; a mask has one channel"
            )
        return np.asarray(image.convert("L"))


def _unique(pixels: np.ndarray) -> list[int]:
    import numpy as np

    found: list[int] = np.unique(pixels).tolist()
    return found


def _words(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
