"""The list of what is installed: components, their options, and recipes, as plain rows.

Importing every plugin's classes takes half a second. So the list is kept in the cache folder, together with the state
of all that it follows from: the distributions on the path, the environment, every file of a plugin's package and every
module that was imported. Where any of these has changed, the list is made anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from adbench.errors import StorageError
from adbench.registration.installed_state import InstalledState

if TYPE_CHECKING:
    from adbench.api.component import Component
    from adbench.registration.registry import Registry

Row = dict[str, Any]

FOLDER = "listing"
"""The folder of kept lists inside the cache."""
_MOST_FILES = 8
"""The most lists that are kept, for as many environments."""
_MOST_BYTES = 1 << 24
"""The most bytes of a kept list."""


@dataclass(frozen=True)
class Listing:
    """The components and recipes that can be used, and the plugins that cannot.

    Attributes:
        rows: each with kind, name, dist, about and options, and with the version of a component.
        problems: each with dist and reason.
    """

    rows: list[Row]
    problems: list[dict[str, str]]

    def of(self, kind: str) -> dict[str, Row]:
        """The rows of one kind, by name."""
        return {row["name"]: row for row in self.rows if row["kind"] == kind}


def listing_of(registry: Registry) -> Listing:
    """The listing of a registry."""
    problems = [{"dist": problem.dist, "reason": problem.reason} for problem in registry.problems]
    return Listing([*_components(registry), *_recipes(registry)], problems)


def listed(cache: Path | None) -> Listing:
    """The listing of the installed plugins: a kept one where nothing has changed since.

    Args:
        cache: the cache folder; None keeps nothing.
    """
    if cache is None or _is_loaded():
        return listing_of(_installed())
    state = InstalledState.now()
    file = cache / FOLDER / f"{state.key}.json"
    kept = _kept(file, state)
    if kept is not None:
        return kept
    loaded = _installed()
    made = listing_of(loaded)
    if not made.problems:  # a fault is looked at anew each time: its cause may lie anywhere
        _keep(file, state, made, loaded.modules)
    return made


def _is_loaded() -> bool:
    """Whether this process has the registry already; asking its module would import pydantic."""
    registry = sys.modules.get("adbench.registration.registry")
    return registry is not None and bool(registry.is_loaded())


def _installed() -> Registry:
    from adbench.registration.registry import installed

    return installed()


def _kept(file: Path, state: InstalledState) -> Listing | None:
    """The kept list; None where there is none, it is damaged, or something has changed since."""
    from adbench.api.untrusted import read_json

    try:
        content = read_json(file, "a kept list", _MOST_BYTES)
        same = state.is_unchanged(content["roots"], content["files"], content["stamp"])
        return Listing(content["rows"], []) if same else None
    except (StorageError, OSError, KeyError, TypeError, ValueError):
        return None


def _keep(file: Path, state: InstalledState, made: Listing, modules: list[str]) -> None:
    """Write a list, unless its plugins cannot be watched; a folder that cannot be written costs only time."""
    from adbench.api.atomic_file import atomic_write

    watched = state.watched(modules)
    if watched is None:
        return
    roots, files, stamp = watched
    content = json.dumps({"roots": roots, "files": files, "stamp": stamp, "rows": made.rows})
    if len(content) > _MOST_BYTES:
        return
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, content)
        kept = sorted(file.parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[:-_MOST_FILES]:
            old.unlink(missing_ok=True)


def _components(registry: Registry) -> Iterator[Row]:
    for entry in registry.entries():
        yield {
            "kind": entry.kind,
            "name": entry.name,
            "version": entry.cls.version,
            "dist": f"{entry.dist} {entry.dist_version}",
            "about": (entry.cls.__doc__ or "").strip().split("\n")[0],
            "options": options_of(entry.cls),
        }


def _recipes(registry: Registry) -> Iterator[Row]:
    for recipe in sorted(registry.recipe_files.values(), key=lambda item: item.name):
        dist = f"{recipe.dist} {recipe.dist_version}"
        yield {"kind": "recipe", "name": recipe.name, "dist": dist, "about": _title(recipe.path), "options": {}}


def options_of(cls: type[Component]) -> dict[str, dict[str, Any]]:
    """Name, default, help and, where there are some, the choices of each option of a component."""
    return {
        name: {
            "default": _default(info),
            "required": info.is_required(),
            "help": info.description or "",
            **({"choices": choices} if (choices := _choices(info.annotation)) else {}),
        }
        for name, info in cls.Config.model_fields.items()
    }


def _choices(annotation: Any) -> list[str]:
    """The values that a type names one by one; empty for any other type."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return [str(part) for part in parts]
    return _choices(parts[0]) if len(parts) == 1 and get_origin(parts[0]) is Literal else []


def _default(info: Any) -> str:
    try:
        return str(None if info.is_required() else info.get_default(call_default_factory=True))
    except Exception as error:  # noqa: BLE001  a plugin's factory may raise anything
        return f"unknown: its factory raised {type(error).__name__}"


def _title(path: Path) -> str:
    """A recipe's title, without parsing the file as a recipe; for an unreadable file the reason."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    for line in lines:
        if line.startswith("title:"):
            return str(line.removeprefix("title:").strip().strip("\"'"))
    return ""
