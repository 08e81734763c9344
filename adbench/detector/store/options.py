"""Files that options of a recipe name: their paths are removed when a detector is written, and set when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adbench.api.component import Component, sha256_of
from adbench.detector.store.archive import ArchiveReader
from adbench.detector.store.description import ForeignFile
from adbench.engine.plan.recipe import Part, Recipe, parts_in
from adbench.errors import UsageError, WeightsError


def foreign_files(components: Mapping[str, Sequence[Component]], *, inside: bool) -> dict[ForeignFile, Path]:
    """Every file that an option names, with its path on this machine."""
    found = {}
    for slot, parts in components.items():
        for place, part in enumerate(parts):
            for option, value in part.identity().items():
                if isinstance(value, dict) and value.keys() == {"file", "sha256"}:
                    about = ForeignFile(slot=slot, place=place, option=option, inside=inside, **value)
                    found[about] = getattr(part.config, option)
    return found


def without_paths(recipe: Recipe, files: Iterable[ForeignFile]) -> Recipe:
    """The recipe with the names of files in place of their paths."""
    return _with_options(recipe, {(file.slot, file.place, file.option): file.file for file in files})


def with_paths(
    recipe: Recipe, files: Sequence[ForeignFile], archive: ArchiveReader, folder: Path, given: Sequence[Path]
) -> Recipe:
    """The recipe with the paths of files as they are here.

    Args:
        recipe: from a detector's file.
        files: that it names.
        archive: may hold them.
        folder: where they are unpacked.
        given: files to look among besides; the content decides.

    Raises:
        WeightsError: a file is not in the detector's file, and none that is given is it.
    """
    paths = {(file.slot, file.place, file.option): str(_found(file, archive, folder, given)) for file in files}
    return _with_options(recipe, paths)


def _found(file: ForeignFile, archive: ArchiveReader, folder: Path, given: Sequence[Path]) -> Path:
    if file.inside:
        path = folder / file.sha256 / file.file
        path.parent.mkdir(parents=True, exist_ok=True)
        archive.unpack(file.entry, path)
        if sha256_of(path) == file.sha256:
            return path
        raise WeightsError(f"{archive.path}: the file {file.file!r} in it is not the one that it names; make it anew")
    beside = archive.path.parent / file.file
    for path in (*given, beside):
        if path.is_file() and sha256_of(path) == file.sha256:
            return path
    raise WeightsError(
        f"{archive.path}: option {file.option!r} of its {file.slot} is the file {file.file!r}, which is not in it; put"
        f" that file beside it (sha256 {file.sha256[:12]}...), or make it with --bundle"
    )


def _with_options(recipe: Recipe, values: Mapping[tuple[str, int, str], Any]) -> Recipe:
    changed: dict[str, Any] = {}
    for slot in {slot for slot, _, _ in values}:
        parts = list(parts_in(recipe, slot))
        for (of, place, option), value in values.items():
            if of == slot:
                if place >= len(parts):
                    raise UsageError(f"recipe {recipe.name!r} has no part {place} in its slot {slot!r}")
                parts[place] = Part(name=parts[place].name, options={**parts[place].options, option: value})
        changed[slot] = tuple(parts) if isinstance(getattr(recipe, slot), tuple) else parts[0]
    return recipe.model_copy(update=changed)
