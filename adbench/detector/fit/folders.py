"""Image files in a folder, and what lies there and is not read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from adbench.datasets import OTHER_SUFFIXES, SUFFIXES, is_own_mask
from adbench.errors import DataError, printable


def files_below(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The image files in a folder and in the folders below it, sorted as datasets sort them.

    Hidden files are not among them, nor are the ignore masks of single images.

    Args:
        folder: where they are.
        suffixes: of an image file, in lower case.

    Raises:
        DataError: there is none, or the folder cannot be listed.
    """
    found = files_so_far(folder, suffixes)
    if not found:
        left = left_out(folder)
        raise DataError(f"{printable(folder)} holds no image ({_kinds(suffixes)})" + (left and f"; {left}"))
    return found


def files_so_far(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """As `files_below`, of a folder that may hold no image yet.

    Raises:
        DataError: the folder cannot be listed.
    """
    found = [path for path in _walk(folder) if path.suffix.lower() in suffixes and not is_own_mask(path)]
    return sorted(found, key=lambda path: (path.relative_to(folder).with_suffix("").as_posix(), path.suffix))


def left_out(folder: Path, *, below: bool = True) -> str:
    """What lies in a folder and may hold pictures, but is not read, in a sentence; empty where there is nothing.

    These are pictures of other kinds, links to nothing and links to folders.

    Args:
        folder: where to look.
        below: whether to look into the folders below it, too.
    """
    counts: Counter[str] = Counter()
    for root, folders, names in os.walk(folder):
        inside = Path(root)
        shown = [name for name in (*folders, *names) if name[0] != "."]
        counts.update(filter(None, (_why_not_read(inside / name) for name in shown)))
        folders[:] = [name for name in folders if name[0] != "."] if below else []
    if not counts:
        return ""
    found = ", ".join(f"{number} x {what}" for what, number in sorted(counts.items()))
    return f"left out of {printable(folder)}: {found}; what is read is {_kinds(SUFFIXES)}"


def _why_not_read(path: Path) -> str:
    """The kind of a picture that is not read, or of a link that is not followed; empty for anything else."""
    try:
        if path.is_dir():
            return "link to a folder" if path.is_symlink() else ""
        if path.suffix.lower() in OTHER_SUFFIXES:
            return path.suffix.lower()
        return "link to nothing" if path.is_symlink() and not path.exists() else ""
    except OSError:
        return "link to what cannot be read"  # such as another user's folder


def _kinds(suffixes: Sequence[str]) -> str:
    return ", ".join(suffix[1:] for suffix in suffixes)


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{printable(error.filename)} cannot be listed: {error.strerror}; make it readable")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name[0] != "."]
        yield from (Path(root, name) for name in names if name[0] != "." and _is_file(Path(root, name)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # it lies where nobody may look, behind a link
        return False
