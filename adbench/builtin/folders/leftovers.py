"""Files of a category that were not read, each with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adbench.builtin.folders.names import part_named
from adbench.builtin.images.reading import OTHER_SUFFIXES, SUFFIXES, read_image
from adbench.errors import BadImage, printable
from adbench.reports import PassedOver

_NO_IMAGES = frozenset(
    str.split(
        "bib cfg conf csv db doc docx htm html ini ipynb json jsonl log md md5 ods pdf py rst rtf sh sha1 sha256 toml"
        " tsv txt xls xlsx xml yaml yml"
    )
)
"""Suffixes of files that are no pictures. Among masks such a file may be an annotation, and counts."""
_DOCUMENTS = frozenset({"readme", "license", "licence", "copying", "notice", "changelog", "authors", "citation"})
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found", "$recycle.bin"})
"""What file systems and archives leave behind."""

_OUTWARD = "is a link that leads out of the dataset's folder; copy what it leads to"
_MARKED = "marks a defect in an image that is normal by its folder; move the image, or remove the mask"
_SEARCHED = 10_000
"""Files that are looked at beside the categories: ROOT may lie in a home folder."""


def leftovers(
    folder: Path, root: Path, read: Collection[Path], is_normal: Callable[[str], bool]
) -> Iterator[PassedOver]:
    """Files of a category that were not read, by path.

    Args:
        folder: the category's.
        root: the dataset's; links out of it were passed over.
        read: the files that were read.
        is_normal: whether a folder of this name holds normal images, which need no mask.
    """
    search = _Search(folder, root, frozenset(read), is_normal)
    found = [(path, why) for path in search.paths() if (why := search.why(path))]
    yield from (PassedOver(_below(path, root), why) for path, why in sorted(found))


def beside(root: Path, categories: Collection[Path]) -> Iterator[PassedOver]:
    """Pictures, folders of pictures and links that lie in a root of categories and belong to none of them."""
    for path in sorted(root.iterdir()):
        if is_hidden(path.name) or path in categories:
            continue
        if leads_out(path, root):
            yield PassedOver(_below(path, root), _OUTWARD)
        elif path.is_dir() and any(map(_is_picture, islice(_files(path), _SEARCHED))):
            yield PassedOver(_below(path, root), "holds images, but neither train nor test")
        elif _is_picture(path):
            yield PassedOver(_below(path, root), "lies in no category")


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, or one that a system made."""
    return name.startswith(".") or name.lower() in _LITTER


@dataclass(frozen=True)
class _Search:
    folder: Path
    root: Path
    read: frozenset[Path]
    is_normal: Callable[[str], bool]

    def paths(self) -> Iterator[Path]:
        """All files, and the links to folders whose files were not read."""
        entered = {parent for path in self.read for parent in path.parents}
        yield from _files(self.folder, entered)

    def why(self, path: Path) -> str:
        """The reason why a file was passed over; empty if it was read, or needs no report."""
        if path in self.read:
            return ""
        place = path.relative_to(self.folder).parts
        part = part_named(place[0]) if len(place) > 1 else None
        kind = place[1] if len(place) > 2 else None
        if part == "ground_truth" and kind is not None and self.is_normal(kind):
            return _MARKED if _marks_anything(path) else ""
        if (path.is_symlink() or path.is_dir()) and (closed := self._closed(path)):
            return closed
        if not _could_be_data(path, part):
            return ""
        return _unreadable(path) or self._misplaced(part, place)

    def _closed(self, path: Path) -> str:
        """The reason why a link or a folder was not entered."""
        if leads_out(path, self.root):
            return _OUTWARD
        if not path.exists():
            return "is a link to nothing"
        if path.is_file():
            return ""
        return "is a link to another folder" if path.is_symlink() else "cannot be listed; make it readable"

    def _misplaced(self, part: str | None, place: tuple[str, ...]) -> str:
        if part is None:
            return "lies beside train, test and ground_truth, which alone are read"
        if len(place) > 3:
            inner = "folder called like no image" if part == "ground_truth" else "folder inside a folder of images"
            return f"lies in a {inner}; move it up into {printable('/'.join(place[:2]))}"
        if len(place) == 3:
            return f"was not read, as another folder is {part}"
        beside = {"train": "beside the folders of images", "test": "in no folder that says what it shows"}
        return f"lies {beside[part]}" if part in beside else "is called like no defective image, or like several"


def _files(folder: Path, entered: Collection[Path] = ()) -> Iterator[Path]:
    """All files below a folder but hidden ones, links to folders that are not `entered`, and folders that are shut."""
    closed: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(where)
        links = [name for name in folders if not is_hidden(name) and (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not is_hidden(name) and name not in links)
        yield from (here / name for name in names if not is_hidden(name))
        for link in (here / name for name in links):
            yield from _files(link, entered) if link in entered else [link]
    yield from (Path(error.filename) for error in closed)


def _could_be_data(path: Path, part: str | None) -> bool:
    """Whether a file may be an image or an annotation, so that it has to be reported."""
    if part is None or path.is_dir():
        return _is_picture(path)
    if path.stem.lower() in _DOCUMENTS or _kind(path) in {"md", "rst"}:
        return False
    return part == "ground_truth" or _kind(path) not in _NO_IMAGES


def _is_picture(path: Path) -> bool:
    return (path.suffix.lower() in SUFFIXES or path.suffix.lower() in OTHER_SUFFIXES) and not path.is_dir()


def _marks_anything(mask: Path) -> bool:
    """Whether a mask has pixels of two values. One that cannot be read marks nothing: nobody needs it."""
    if mask.suffix.lower() not in SUFFIXES or not mask.is_file():
        return False
    try:
        pixels = read_image(mask)
    except BadImage:
        return False
    return bool((pixels != pixels[0, 0]).any())


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _unreadable(path: Path) -> str:
    """The reason why a file cannot be read as an image, in any folder."""
    if not path.is_file():
        return "is no regular file"
    if path.suffix.lower() in SUFFIXES:
        return ""
    kinds = ", ".join(known[1:] for known in SUFFIXES)
    what = f"is of the kind {_kind(path)}" if path.suffix.lower() in OTHER_SUFFIXES else "is no image by its name"
    return f"{what}; what is read is {kinds}"


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is a link that leads out of the root, or in a circle."""
    try:
        return path.is_symlink() and not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return True


def _below(path: Path, root: Path) -> str:
    return printable(path.relative_to(root).as_posix())
