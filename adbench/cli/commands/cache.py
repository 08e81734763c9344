"""``adbench cache``: show and clear the cache, without torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.forms import form_options, print_tables
from adbench.cli.options import cache_option
from adbench.cli.screen import counted, echo, echo_json, screen

if TYPE_CHECKING:
    from adbench.engine.features.cache_files import FolderInfo


_OTHERS = ("runtimes", "masks", "tuned", "training", "listing")
"""Folders beside the features: files of backbones, maskers and tuners, checkpoints of trainings that were stopped, and
the list of what is installed."""


@click.group("cache")
def command() -> None:
    """Show or clear the cache: features, exported and tuned networks, checkpoints of trainings, and masks."""


@command.command("info")
@cache_option
@form_options()
def info_command(cache: Path | None, form: str | None) -> None:
    """Show the content of the cache: backbones, sizes, and the time of the last use."""
    from adbench.cli.text_table import Column, TextTable
    from adbench.engine.features.cache_files import abandoned, feature_folders

    if cache is None or not cache.is_dir():
        echo(f"{cache or 'no cache'}: empty", err=form in ("csv", "json"))
        if form == "json":
            echo_json([])
        return
    infos = feature_folders(cache / "features")
    words = [Column(name, words=True) for name in ("backbone", "preparation", "runtime", "device", "last used")]
    table = TextTable(str(cache), [*words, Column("images", "size"), Column("MB", "size")])
    for info in infos:
        table.add(*_row(info))
    if form == "json":
        names = table.as_report().columns
        echo_json([dict(zip(names, row, strict=True)) for row in table.rows], indent=1)
        return
    if form is None and screen().is_terminal:
        for info in infos:
            echo(*_lines(info))
    else:
        print_tables([table], form)
    if form == "csv":
        return
    left = [file.stat().st_size for file in abandoned(cache / "features")]
    if left:
        count = counted(len(left), "temporary file")
        echo(f"left by killed writers, which the next run removes: {count}, {_mb(sum(left))} MB")
    echo(sizes_of(cache, infos))


def sizes_of(cache: Path, features: Iterable[FolderInfo]) -> str:
    """The sizes of what a cache folder holds, its folders of features among them, and the disk's free space."""
    size = sum(info.size for info in features)
    free = shutil.disk_usage(cache).free
    names = ("runtimes", "tuned", "training", "masks")
    networks, tuned, stopped, masks = (_mb(_size(cache / name)) for name in names)
    return (
        f"features: {_mb(size)} MB; exported networks: {networks} MB; tuned networks: {tuned} MB; stopped trainings:"
        f" {stopped} MB; masks: {masks} MB; free on this disk: {_mb(free)} MB"
    )


@command.command("clear")
@cache_option
def clear_command(cache: Path | None) -> None:
    """Delete the whole cache; the next run computes again what it needs."""
    from adbench.engine.features.cache_files import clear

    if cache is None or not cache.is_dir():
        echo(f"{cache or 'no cache'}: empty")
        return
    freed = clear(cache / "features") + sum(_size(cache / name) for name in _OTHERS)
    for name in _OTHERS:
        shutil.rmtree(cache / name, ignore_errors=True)
    echo(f"{cache}: {_mb(freed)} MB freed")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _row(info: FolderInfo) -> tuple[str, ...]:
    from adbench.engine.features.cache_files import PASSING

    about = info.about
    used = datetime.fromtimestamp(info.used, timezone.utc).strftime("%Y-%m-%d %H:%M") if info.images else ""
    return (
        _words(about.get("backbone")) + (", corrupted images" if info.folder.name.startswith(PASSING) else ""),
        " + ".join(map(_words, about.get("preprocess", ()))),
        str(about.get("runtime", "")),
        str(about.get("device", "")),
        used,
        str(info.images),
        _mb(info.size),
    )


def _lines(info: FolderInfo) -> tuple[str, ...]:
    """The same for a window: a backbone with its options is too long for a column."""
    backbone, preparation, runtime, device, used, images, size = _row(info)
    where = ", ".join(filter(None, [runtime, device]))
    return (
        backbone,
        *([f"  after {preparation}"] if preparation else []),
        f"  {counted(int(images), 'image')}, {size} MB; {where}" + (f"; last used {used}" if used else ""),
    )


def _words(part: Any) -> str:
    """A part with its options, in words, from a folder's description, which may be damaged."""
    if not isinstance(part, dict):
        return "?"
    options = part.get("options")
    listing = ", ".join(f"{key}={value}" for key, value in options.items()) if isinstance(options, dict) else ""
    return f"{part.get('name', '?')}{listing and f'({listing})'}"


def _mb(size: int) -> str:
    return f"{size / 2**20:.0f}"
