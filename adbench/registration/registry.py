"""Finds plugins through entry points and holds their components; a misspelt hook or double name is an error."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pluggy

from adbench.api.component import Component
from adbench.api.metric import Metric
from adbench.errors import AdbenchError, PluginError, UnknownName, UsageError
from adbench.registration import hookspecs
from adbench.registration.discovery import Found, entry_points
from adbench.registration.faults import (
    CONTRACTS,
    answer_fault,
    class_faults,
    contract_of,
    has_hook,
    hook_fault,
    made,
    raised,
)

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
    """A plugin, or a component of one, that is left out, and why.

    Attributes:
        dist: the distribution that brought it.
        reason: what is wrong and how to mend it, in one line.
        component: kind and name of the component; empty where the whole plugin is left out.
    """

    dist: str
    reason: str
    component: tuple[str, str] | tuple[()] = ()


@dataclass(eq=False)
class Registry:
    """The registry of all plugins' components and recipes. `load_registry` makes it; it is read-only afterwards.

    `modules` are those that the entry points of the loaded plugins name.
    """

    components: dict[tuple[str, str], Entry] = field(default_factory=dict)
    recipe_files: dict[str, RecipeFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(hookspecs.GROUP))

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Registered components that can be used, sorted by kind and name."""
        return [entry for _, entry in sorted(self.components.items()) if kind in (None, entry.kind)]

    def kinds(self) -> list[str]:
        """Kinds of which there is at least one component."""
        return sorted({kind for kind, _ in self.components})

    def get(self, kind: str, name: str) -> Entry:
        """The component of this kind and name.

        Raises:
            UnknownName: there is none; the message suggests the nearest and names plugins that failed to load.
            PluginError: it is left out, and why.
        """
        entry = self.components.get((kind, name))
        if entry is None:
            self._require_sound(kind, name)
            names = [known for of, known in self.components if of == kind]
            raise UnknownName(kind, name, names, self._way(kind, name), see=f"adbench list {kind}")
        return entry

    def recipe(self, name: str) -> RecipeFile:
        """The recipe of this name.

        Raises:
            UnknownName: there is none.
        """
        if name not in self.recipe_files:
            raise UnknownName("recipe", name, self.recipe_files, self._way("recipe", name), see="adbench list recipe")
        return self.recipe_files[name]

    def made(self, kind: str) -> list[Component]:
        """One of each component of a kind, with its defaults; what cannot be made without options is left out."""
        return [component for entry in self.entries(kind) for component in self._made(entry)]

    def metrics(self) -> list[Metric]:
        """One of each metric, with its defaults."""
        return [metric for metric in self.made("metric") if isinstance(metric, Metric)]

    def _made(self, entry: Entry) -> Iterator[Component]:
        try:
            yield made(entry.cls)
        except (PluginError, UsageError) as error:
            self.leave_out(entry, str(error))

    def leave_out(self, entry: Entry, reason: str) -> None:
        """Remove a component, and add a problem with the reason."""
        self.components.pop((entry.kind, entry.name), None)
        self.problems.append(Problem(entry.dist, reason, (entry.kind, entry.name)))

    def _require_sound(self, kind: str, name: str) -> None:
        for problem in self.problems:
            if problem.component == (kind, name):
                raise PluginError(f"{problem.reason} (plugin {problem.dist!r})")

    def _way(self, kind: str, name: str) -> str:
        """The package that has a missing name, and the plugins that could not be loaded."""
        from adbench.registration.elsewhere import advice_for

        return " ".join(filter(None, [advice_for(name, kind), self._broken()]))

    def _broken(self) -> str:
        names = ", ".join(dict.fromkeys(problem.dist for problem in self.problems if not problem.component))
        return f"(plugins that could not be loaded: {names}; see 'adbench list')" if names else ""

    def add_component(self, cls: type[Component], dist: str, version: str) -> None:
        """Register a class for a distribution; one that cannot be used becomes a problem.

        Raises:
            PluginError: it is no component, its name is no slug, or another plugin has the name already.
        """
        _require_component(cls, dist)
        other = self.components.get((cls.kind, cls.name))
        if other is not None and other.cls is not cls:
            raise PluginError(_clash(cls, other, dist))
        entry, faults = Entry(cls.kind, cls.name, cls, dist, version), class_faults(cls)
        self.components[cls.kind, cls.name] = entry
        if faults:
            self.leave_out(entry, f"{cls.kind} {cls.name!r} cannot be used: {'; '.join(faults)}")

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
                both = f"both {other.dist!r} and {dist!r}"
                raise PluginError(f"recipe {path.stem!r} is registered by {both}; rename the file of {dist!r}")
            self.recipe_files[path.stem] = RecipeFile(path.stem, path, dist, version)

    def load(self, dist: str, version: str, plugin: Any, *, parts: bool = True) -> None:
        """Load one imported plugin, all of it or nothing; without its parts, its other hooks can be called.

        Raises:
            PluginError: a misspelt hook or a clash of names. What the plugin's own hooks raise passes through.
        """
        before = dict(self.components), dict(self.recipe_files), list(self.problems)
        fault = hook_fault(plugin)
        if fault:
            raise PluginError(f"plugin {dist!r}: {fault}")
        try:
            self.manager.register(plugin, name=f"{dist}:{self.manager.get_canonical_name(plugin)}")
            self.manager.check_pending()
            if not parts:
                return
            self._register_from(plugin, "register_components", dist, lambda cls: self.add_component(cls, dist, version))
            self._register_from(
                plugin, "register_recipes", dist, lambda path: self.add_recipes(_folder(path), dist, version)
            )
        except pluggy.PluginValidationError as error:
            self._undo(plugin, before)
            raise PluginError(f"plugin {dist!r}: {raised(error)}") from error
        except Exception:
            self._undo(plugin, before)
            raise

    def _register_from(self, plugin: Any, hook: str, dist: str, register: Callable[[Any], None]) -> None:
        """Call the hook with which a plugin registers its components or recipes.

        Raises:
            PluginError: it returns something instead. What its hook raises passes through.
        """
        for answer in self._call(plugin, hook, register=register):
            raise PluginError(f"plugin {dist!r}: {answer_fault(hook, answer)}")

    def call_each(self, hook: str, **arguments: Any) -> Iterator[Problem]:
        """Call the hook of each plugin by itself: what one raises is a problem that names it, and costs no other."""
        for name, plugin in self.manager.list_name_plugin():
            try:
                self._call(plugin, hook, **arguments)
            except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001  a plugin's hook may raise anything
                yield Problem(name.partition(":")[0], f"its {hook} hook raised {raised(error)}")

    def _call(self, plugin: Any, hook: str, **arguments: Any) -> list[Any]:
        """Call the hook of this plugin alone, so that an error names its distribution; what it returns but None."""
        others = [other for other in self.manager.get_plugins() if other is not plugin]
        answers: list[Any] = self.manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)
        return answers

    def _undo(
        self, plugin: Any, before: tuple[dict[tuple[str, str], Entry], dict[str, RecipeFile], list[Problem]]
    ) -> None:
        if self.manager.is_registered(plugin):  # not where its own hooks were refused, in some versions of pluggy
            self.manager.unregister(plugin)
        self.components, self.recipe_files, self.problems = before


def _require_component(cls: Any, dist: str) -> None:
    """Raise `PluginError` unless something is a component's class, with a kind and a name."""
    if isinstance(cls, Component):
        name = type(cls).__name__
        raise PluginError(
            f"plugin {dist!r} registers an object of class {name}, which is no component class; write register({name})"
        )
    if not isinstance(cls, type) or not issubclass(cls, Component):
        found = cls.__name__ if isinstance(cls, type) else repr(cls)
        raise PluginError(f"plugin {dist!r} registers {found}, which is no component; derive it from {_contracts()}")
    contract = contract_of(cls)
    if contract is None:
        raise PluginError(f"plugin {dist!r}: {cls.__name__} derives from no contract; choose one of {_contracts()}")
    if cls.kind != contract.kind:
        fault = f"{cls.__name__} changes kind to {cls.kind!r}"
        raise PluginError(f"plugin {dist!r}: {fault}; leave it out, {contract.__name__} sets it to {contract.kind!r}")
    _require_name(cls, dist)


def _contracts() -> str:
    return ", ".join(contract.__name__ for contract in CONTRACTS)


def _require_name(cls: type[Component], dist: str) -> None:
    name = getattr(cls, "name", None)
    if name is None or isinstance(name, property):
        raise PluginError(
            f"plugin {dist!r} registers {cls.__name__}, which is no component with a name;"
            f" write name = {_slug(cls.__name__)!r} in the class"
        )
    if not isinstance(name, str) or not _SLUG.fullmatch(name):
        fault = f"{cls.kind} name {name!r} must be lower case words joined by '-'"
        raise PluginError(f"plugin {dist!r}: {fault}; write name = {_slug(str(name))!r}")


def _slug(name: str) -> str:
    """A name of lower case words joined by '-', after a class's or any other name."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    return "-".join(words) or "my-name"


def _clash(cls: type[Component], other: Entry, dist: str) -> str:
    """The clash of two classes with one name, in a sentence."""
    clash = f"{cls.kind} {cls.name!r} is registered by both {other.dist!r} and {dist!r}"
    if other.dist == dist:
        clash = f"plugin {dist!r}: {other.cls.__name__} and {cls.__name__} both have the {cls.kind} name {cls.name!r}"
    elif "name" not in vars(cls) and issubclass(cls, other.cls):
        clash += f", because {cls.__name__} inherits its name from {other.cls.__name__}"
    return f"{clash}; give {cls.__name__} a name of its own, such as name = {_slug(cls.__name__)!r}"


def _folder(path: Any) -> Path:
    """The argument of `register_recipes`, as a path.

    Raises:
        PluginError: it is none.
    """
    try:
        return Path(path)
    except TypeError:
        raise PluginError(f"register_recipes was given {path!r}; give the path of a folder") from None


def load_registry(disable: str | None = None, *, parts: bool = True, only: Collection[str] | None = None) -> Registry:
    """Load every installed plugin, the built-in one first. One with a fault is left out, and a `Problem`.

    Where two plugins clash, the newcomer is left out: see `adbench.registration.discovery`.

    Args:
        disable: distributions to leave out, separated by commas; default the environment's ADBENCH_DISABLE.
        parts: whether components and recipes are loaded: importing all of them takes a quarter of a second.
        only: distributions to load; None for all.
    """
    blocked = set(
        filter(None, re.split(r"[,\s]+", os.environ.get("ADBENCH_DISABLE", "") if disable is None else disable))
    )
    registry = Registry()
    registry.manager.add_hookspecs(hookspecs)
    for found in entry_points():
        if found.name in blocked or (only is not None and found.name not in only):
            continue
        try:
            _load(registry, found, parts=parts)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's module may raise anything
            registry.problems.append(Problem(found.name, _reason(error, found.name, found.point)))
    return registry


def _load(registry: Registry, found: Found, *, parts: bool) -> None:
    plugin = found.point.load()
    registry.load(found.name, found.version, plugin, parts=parts)
    registry.modules.append(found.point.module)
    if not has_hook(plugin):
        raise PluginError(f"{found.point.value} has no hook; mark its register_components function with @hookimpl")


def _reason(error: BaseException, dist: str, point: EntryPoint) -> str:
    """The reason why a plugin is left out, in one line."""
    if isinstance(error, AdbenchError):
        return str(error).removeprefix(f"plugin {dist!r}: ").removeprefix(f"plugin {dist!r} ")
    where = f" (entry point {point.name} = {point.value})" if isinstance(error, ImportError | AttributeError) else ""
    return raised(error) + where


@lru_cache(maxsize=1)
def _loaded() -> Registry:
    return load_registry()


_instead: list[Registry] = []


def installed() -> Registry:
    """The registry of this process, loaded once."""
    return _instead[-1] if _instead else _loaded()


def is_loaded() -> bool:
    """Whether `installed` has its answer already."""
    return bool(_instead or _loaded.cache_info().currsize)


def holding(components: Mapping[tuple[str, str], str]) -> Registry:
    """A registry that holds these components: the one of this process, or one of a few plugins, which loads sooner.

    Args:
        components: by kind and name the distribution in which it was.
    """
    if is_loaded():
        return installed()
    few = load_registry(only={*components.values()})
    return few if components.keys() <= few.components.keys() else installed()


installed.cache_clear = _loaded.cache_clear  # type: ignore[attr-defined]


@contextmanager
def instead(registry: Registry) -> Iterator[Registry]:
    """Inside the block, `installed` answers with another registry: one that also has components under test."""
    _instead.append(registry)
    try:
        yield registry
    finally:
        _instead.remove(registry)
