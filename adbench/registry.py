"""Finds plugins through entry points and keeps what they offer. Strict: nothing misspelt or doubled goes unnoticed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any

import pluggy

from adbench import hookspecs
from adbench.api.component import Component
from adbench.errors import PluginError, UnknownName

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Entry:
    """A registered component.

    Attributes:
        kind: "backbone", "bank", ...
        name: unique within the kind.
        cls: the component's class.
        dist: the distribution that brought it.
        dist_version: its version.
    """

    kind: str
    name: str
    cls: type[Component]
    dist: str
    dist_version: str


@dataclass(frozen=True)
class RecipeFile:
    """A recipe that a plugin brings as a file: its name is the file's stem."""

    name: str
    path: Path
    dist: str
    dist_version: str


@dataclass(frozen=True)
class Problem:
    """A plugin that could not be loaded, and why."""

    dist: str
    reason: str


@dataclass(eq=False)
class Registry:
    """What all plugins together offer. Made by `load_registry`; read-only afterwards."""

    components: dict[tuple[str, str], Entry] = field(default_factory=dict)
    recipe_files: dict[str, RecipeFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(hookspecs.GROUP))

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Registered components, sorted by kind and name."""
        return [entry for _, entry in sorted(self.components.items()) if kind in (None, entry.kind)]

    def kinds(self) -> list[str]:
        """Kinds of which there is at least one component."""
        return sorted({kind for kind, _ in self.components})

    def get(self, kind: str, name: str) -> Entry:
        """The component of this kind and name.

        Raises:
            UnknownName: there is none; the message suggests the nearest and names plugins that failed to load.
        """
        entry = self.components.get((kind, name))
        if entry is None:
            raise UnknownName(kind, name, [known for of, known in self.components if of == kind], self._broken())
        return entry

    def recipe(self, name: str) -> RecipeFile:
        """The recipe of this name.

        Raises:
            UnknownName: there is none.
        """
        if name not in self.recipe_files:
            raise UnknownName("recipe", name, self.recipe_files, self._broken())
        return self.recipe_files[name]

    def _broken(self) -> str:
        names = ", ".join(problem.dist for problem in self.problems)
        return f"(plugins that could not be loaded: {names}; see 'adbench list')" if names else ""

    def add_component(self, cls: type[Component], dist: str, version: str) -> None:
        """Register a class for a distribution.

        Raises:
            PluginError: it is no component, its name is no slug, or another plugin has the name already.
        """
        if not (isinstance(cls, type) and issubclass(cls, Component)) or not hasattr(cls, "name"):
            raise PluginError(f"plugin {dist!r} registers {cls!r}, which is no component with a name")
        if not _SLUG.fullmatch(cls.name):
            raise PluginError(f"plugin {dist!r}: {cls.kind} name {cls.name!r} must be lower case words joined by '-'")
        other = self.components.get((cls.kind, cls.name))
        if other is not None and other.cls is not cls:
            raise PluginError(
                f"{cls.kind} {cls.name!r} is registered by both {other.dist!r} and {dist!r};"
                f" uninstall one or set ADBENCH_DISABLE={dist}"
            )
        self.components[cls.kind, cls.name] = Entry(cls.kind, cls.name, cls, dist, version)

    def add_recipes(self, folder: Path, dist: str, version: str) -> None:
        """Register every ``*.yaml`` in a folder.

        Raises:
            PluginError: no such folder, or another plugin has a recipe of the same name.
        """
        if not folder.is_dir():
            raise PluginError(f"plugin {dist!r} registers the recipe folder {folder}, which does not exist")
        for path in sorted(folder.glob("*.yaml")):
            other = self.recipe_files.get(path.stem)
            if other is not None and other.path != path:
                raise PluginError(f"recipe {path.stem!r} is registered by both {other.dist!r} and {dist!r}")
            self.recipe_files[path.stem] = RecipeFile(path.stem, path, dist, version)

    def load(self, dist: str, version: str, plugin: Any, *, parts: bool = True) -> None:
        """Take in one imported plugin, all of it or nothing; without its parts, its other hooks can be called.

        Raises:
            PluginError: a misspelt hook or a clash of names. What the plugin's own hooks raise passes through.
        """
        before = dict(self.components), dict(self.recipe_files)
        try:
            self.manager.register(plugin, name=f"{dist}:{self.manager.get_canonical_name(plugin)}")
            self.manager.check_pending()
            if not parts:
                return
            self._call(plugin, "register_components", register=lambda cls: self.add_component(cls, dist, version))
            self._call(plugin, "register_recipes", register=lambda path: self.add_recipes(Path(path), dist, version))
        except pluggy.PluginValidationError as error:
            self._undo(plugin, before)
            raise PluginError(
                f"plugin {dist!r} has a hook, or an argument of one, that does not exist ({_flat(error)});"
                f" correct it or set ADBENCH_DISABLE={dist}"
            ) from error
        except Exception:
            self._undo(plugin, before)
            raise

    def call_each(self, hook: str, **arguments: Any) -> Iterator[Problem]:
        """Call the hook of each plugin by itself: what one raises is a problem that names it, and costs no other."""
        for name, plugin in self.manager.list_name_plugin():
            try:
                self._call(plugin, hook, **arguments)
            except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001  a stranger's hook may raise anything
                yield Problem(name.partition(":")[0], f"its {hook} hook raised {type(error).__name__}: {error}")

    def _call(self, plugin: Any, hook: str, **arguments: Any) -> None:
        """Call the hook of this plugin alone, so that an error names its distribution."""
        others = [other for other in self.manager.get_plugins() if other is not plugin]
        self.manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)

    def _undo(self, plugin: Any, before: tuple[dict[tuple[str, str], Entry], dict[str, RecipeFile]]) -> None:
        if self.manager.is_registered(plugin):  # not where its own hooks were refused, in some versions of pluggy
            self.manager.unregister(plugin)
        self.components, self.recipe_files = before


def load_registry(disable: str | None = None, *, parts: bool = True) -> Registry:
    """Load every installed plugin, the built-in one first.

    Args:
        disable: distributions to leave out, separated by commas; default the environment's ADBENCH_DISABLE.
        parts: whether components and recipes are taken in: importing all of them takes a quarter of a second.

    Raises:
        PluginError: two plugins clash, or a hook is misspelt. A plugin that cannot be imported is only a `Problem`.
    """
    blocked = set(
        filter(None, re.split(r"[,\s]+", os.environ.get("ADBENCH_DISABLE", "") if disable is None else disable))
    )
    registry = Registry()
    registry.manager.add_hookspecs(hookspecs)
    for dist, point in _entry_points():
        if dist.name in blocked:
            continue
        try:
            registry.load(dist.name, dist.version, point.load(), parts=parts)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  a stranger's module may raise anything
            registry.problems.append(Problem(dist.name, f"{type(error).__name__}: {error}"))
    return registry


def _flat(error: Exception) -> str:
    """A message of several lines as one."""
    return " ".join(str(error).split())


@lru_cache(maxsize=1)
def installed() -> Registry:
    """The registry of this process, loaded once."""
    return load_registry()


def _entry_points() -> Iterator[tuple[Distribution, EntryPoint]]:
    """Entry points of our group, each once: core first, then by distribution."""
    found: dict[tuple[str, str], tuple[Distribution, EntryPoint]] = {}
    for dist in distributions():
        for point in dist.entry_points:
            if point.group == hookspecs.GROUP:
                found.setdefault((dist.name, point.name), (dist, point))
    yield from (found[key] for key in sorted(found, key=lambda key: (key[0] != "adbench-core", key)))
