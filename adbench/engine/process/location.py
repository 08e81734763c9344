"""Where files lie: results in a folder of this machine or at an address, what can be made again in the user's cache."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from adbench.errors import UsageError


def place(text: str) -> Path:
    """A folder as people write it: a path of this machine, or an address that fsspec knows, such as ``s3://bucket/runs``.

    Raises:
        UsageError: an address of a kind that is not installed.
    """
    if not text.strip():
        raise UsageError("the folder of runs has an empty name; give one with --out")
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        address = UPath(text)
        address.fs  # noqa: B018  the package for it is imported here and not before
    except (ImportError, ValueError, TypeError, OSError) as error:
        raise UsageError(f"{text}: {error}; install the fsspec package for it, or use a folder") from None
    return cast("Path", address)


def cache_folder(path: str | None) -> Path:
    """The folder of features, exported networks and lists: the given path, or else the user's cache folder."""
    from platformdirs import user_cache_path

    return Path(path).expanduser() if path else user_cache_path("adbench", appauthor=False)


def is_here(folder: Path) -> bool:
    """Whether a folder is on a disk of this machine, and not behind an address."""
    return type(folder) is type(Path())
