"""Leaderboards as a static Space of the Hub: the same files, and a head that the Hub reads."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from adbench import UsageError
from adbench.errors import one_line
from adbench.files import atomic_write
from adbench_huggingface.dataset import new_folder, stored

PAGE = "index.html"


def write_space(leaderboards: Path, out: Path, title: str) -> int:
    """Copy leaderboards and write the head of the Space; returns the number of files.

    Links are not followed: a Space holds only what lies in the folder.

    Args:
        leaderboards: the folder that 'adbench board build' wrote, with its index.
        out: a folder that is new or empty.
        title: of the Space.

    Raises:
        UsageError: there is no page, or the folder is not empty.
        StorageError: it cannot be written.
    """
    if not (leaderboards / PAGE).is_file() or not (leaderboards / "assets").is_dir():
        raise UsageError(
            f"{leaderboards}: has no {PAGE} with its assets; give the folder of all boards, which 'adbench board build'"
            " writes"
        )
    new_folder(out)
    files = [file for file in sorted(leaderboards.rglob("*")) if file.is_file() and not _is_linked(file, leaderboards)]
    with stored(out):
        for file in files:
            target = out / file.relative_to(leaderboards)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        readme = leaderboards / "README.md"
        text = readme.read_text(encoding="utf-8") if readme in files else ""
        atomic_write(out / "README.md", f"---\n{yaml.safe_dump(_head(title), sort_keys=False)}---\n{text}")
    return len({*files, readme})


def _head(title: str) -> dict[str, str | bool]:
    return {"title": one_line(title, 100), "sdk": "static", "app_file": PAGE, "pinned": False}


def _is_linked(file: Path, root: Path) -> bool:
    """Whether a file, or a folder between the root and it, is a link."""
    below = file.relative_to(root)
    return any((root / part).is_symlink() for part in (below, *below.parents[:-1]))
