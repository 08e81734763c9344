"""``adbench check``: the conformance kit without pytest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench.cli.forms import form_options, print_rows
from adbench.cli.screen import echo, echo_json, say, screen, styled
from adbench.errors import PluginError, UnknownName, UsageError, near_to

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from adbench.api.component import Component
    from adbench.registration.registry import Entry, Problem, RecipeFile, Registry
    from adbench.testing import Check, CheckResult

_STYLES = {"pass": "green", "FAIL": "bold red", "expected": "yellow", "not here": "dim", "not tried": "dim"}


class Finding(NamedTuple):
    """A line of the table: the component or recipe, the rule or fault, and the result."""

    component: str
    rule: str
    result: str


@dataclass(frozen=True)
class Plugin:
    """A plugin to check.

    Attributes:
        registry: all installed plugins, and this one.
        dist: the plugin's name in the registry.
    """

    registry: Registry
    dist: str

    @property
    def entries(self) -> list[Entry]:
        """The plugin's usable components."""
        return [entry for entry in self.registry.entries() if _normal(entry.dist) == _normal(self.dist)]

    @property
    def problems(self) -> list[Problem]:
        """The problems of the plugin's other components."""
        return [problem for problem in self.registry.problems if _normal(problem.dist) == _normal(self.dist)]

    @property
    def recipes(self) -> list[RecipeFile]:
        """The plugin's recipes."""
        return [file for file in self.registry.recipe_files.values() if _normal(file.dist) == _normal(self.dist)]


@click.command("check")
@click.argument("dist")
@click.option("--metadata", "metadata_only", is_flag=True, help="Check only classes and options: fast, without torch.")
@form_options(wide="Print each rule on one line of any length.", csv="Print CSV.")
def command(dist: str, metadata_only: bool, form: str | None) -> int:
    """Check every component of DIST against its contract, and read its recipes.

    DIST is an installed distribution, such as adbench-core, or an importable module with hooks, such as my_plugin.
    """
    from adbench.registration.registry import instead

    plugin = plugin_in(dist)
    with instead(plugin.registry):
        rows = list(_rows(plugin, metadata_only=metadata_only))
    _show(dist, rows, form)
    failed = [row for row in rows if row.result == "FAIL"]
    for row in failed:  # again for who reads errors alone
        echo(f"failed: {row.component}: {row.rule}", err=True, fg="red")
    return int(bool(failed))


def plugin_in(dist: str) -> Plugin:
    """The plugin of an installed distribution, or of an importable module.

    Raises:
        UnknownName: no such distribution or module.
        PluginError: the plugin cannot be loaded.
        UsageError: the plugin registers neither a component nor a recipe.
    """
    from adbench.registration.registry import installed

    registry = installed()
    for problem in registry.problems:
        if _normal(problem.dist) == _normal(dist) and not problem.component:
            raise PluginError(f"plugin {dist!r} cannot be loaded: {problem.reason}")
    plugin = Plugin(registry, dist)
    if not (plugin.entries or plugin.problems or plugin.recipes):
        plugin = _module_in(dist, registry)
    if not (plugin.entries or plugin.problems or plugin.recipes):
        raise UsageError(f"{dist!r} registers no component; mark its register_components function with @hookimpl")
    return plugin


def components_in(dist: str) -> list[type[Component]]:
    """The component classes of a distribution or module.

    Raises:
        UnknownName, PluginError, UsageError: as `plugin_in` does.
    """
    return [entry.cls for entry in plugin_in(dist).entries]


def _normal(dist: str) -> str:
    """A distribution's name in the normal form of package indexes."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def _module_in(name: str, known: Registry) -> Plugin:
    """The plugin of one module, beside all installed ones."""
    from adbench.registration.faults import raised
    from adbench.registration.registry import load_registry

    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0]):
            raise UnknownName("plugin", name, {entry.dist for entry in known.entries()}, see="adbench doctor") from None
        raise PluginError(f"plugin {name!r} cannot be imported: {raised(error)}") from error
    for registered, plugin in known.manager.list_name_plugin():
        if plugin is module:
            return Plugin(known, registered.partition(":")[0])
    everything = load_registry()
    _load(everything, name, module)
    return Plugin(everything, name)


def _load(registry: Registry, name: str, module: Any) -> None:
    from adbench.errors import AdbenchError
    from adbench.registration.faults import raised

    try:
        registry.load(name, "", module)
    except AdbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name!r}: its hook raised {raised(error)}") from error


def _rows(plugin: Plugin, *, metadata_only: bool) -> Iterator[Finding]:
    for problem in plugin.problems:
        yield Finding(" ".join(problem.component), problem.reason, "FAIL")
    checks: list[Check] = []
    for entry in plugin.entries:
        try:
            checks += _checks(entry.cls, metadata_only=metadata_only)
        except (PluginError, UsageError) as error:
            yield _unmade(entry.cls, error)
    yield from _outcomes(checks)
    yield from (_recipe(file, plugin.registry) for file in plugin.recipes)


def _checks(cls: type[Component], *, metadata_only: bool) -> list[Check]:
    from adbench.registration.faults import made
    from adbench.testing import checks_for

    return checks_for(made(cls), metadata_only=metadata_only)


def _unmade(cls: type[Component], error: PluginError | UsageError) -> Finding:
    """The row of a component that cannot be made: it needs options, or it is faulty."""
    subject = f"{cls.kind} {cls.name}"
    if isinstance(error, PluginError):
        return Finding(subject, str(error), "FAIL")
    needed = [name for name, field in cls.Config.model_fields.items() if field.is_required()]
    if needed:
        return Finding(subject, f"needs options: {', '.join(needed)}; give them in your own tests", "not here")
    return Finding(subject, f"{cls.kind} {cls.name!r} cannot be made with its own defaults: {error}", "FAIL")


def _outcomes(checks: Iterable[Check]) -> Iterator[Finding]:
    """A row for each check, and one with the number of skipped checks."""
    untried: Counter[str] = Counter()
    for outcome in _run(checks):
        component = outcome.check.component
        subject = f"{component.kind} {component.name}"
        if outcome.status.value == "not tried":
            untried[subject] += 1
        else:
            yield Finding(subject, outcome.detail or outcome.check.sentence, outcome.status.value)
    for subject, count in untried.items():
        yield Finding(subject, f"{count} more rules, which build on the failed one", "not tried")


def _run(checks: Iterable[Check]) -> Iterator[CheckResult]:
    """Results of checks; a terminal shows the current check."""
    from adbench.testing import run_checks

    with screen(err=True).status("checking") as status:
        for outcome in run_checks(checks):
            status.update(styled(f"checked {outcome.check.component.title}: {outcome.check.name}"))
            yield outcome


def _recipe(file: RecipeFile, registry: Registry) -> Finding:
    """The row of a recipe: it must be readable, and its parts must exist."""
    from adbench.engine.plan.recipe import read_recipe

    subject = f"recipe {file.name}"
    try:
        recipe = read_recipe(file.path)
        if recipe.name != file.name:
            detail = f"{file.path} says 'recipe: {recipe.name}', but --recipe takes the file's name; make them the same"
            return Finding(subject, detail, "FAIL")
        _make_parts(recipe, registry)
    except UnknownName as error:
        misspelt = error.what == "option" or near_to(error.name, error.known) is not None
        detail = str(error) if misspelt else f"it needs {error.what} {error.name!r}, which no installed plugin has"
        return Finding(subject, detail, "FAIL" if misspelt else "not here")
    except (UsageError, PluginError) as error:
        return Finding(subject, str(error), "FAIL")
    return Finding(subject, "The recipe can be read, its parts exist, and they accept its options.", "pass")


def _make_parts(recipe: Any, registry: Registry) -> None:
    from adbench.engine.plan.recipe import SLOTS, parts_in

    for slot, kind in SLOTS.items():
        for part in parts_in(recipe, slot):
            part.make(kind, registry)


def _show(dist: str, rows: Sequence[Finding], form: str | None) -> None:
    """Print the rows, failures last above the prompt, and a line of totals; CSV and JSON have the rows alone."""
    ordered = sorted(rows, key=lambda row: row.result == "FAIL")
    title, console = f"{dist}: conformance with the contracts", screen()
    if form == "json":
        echo_json({"plugin": dist, "rows": [row._asdict() for row in ordered]}, indent=1)
    elif form == "csv":
        print_rows(Finding._fields, ordered)
    elif form == "wide" or not console.is_terminal:
        echo(title, *(f"{row.result}  {row.component}  {row.rule}" for row in ordered), fold=False)
    else:
        _draw(console, title, ordered)
    totals = Counter(row.result for row in rows)
    line = ", ".join(f"{count} {name}" for name, count in totals.items()) or "nothing to check"
    echo(line, err=form in ("csv", "json"))


def _draw(console: RichConsole, title: str, rows: Sequence[Finding]) -> None:
    """Print the rows below their components; a window of any width breaks sentences between words."""
    say(console, (title, "italic"))
    width = max(map(len, _STYLES))
    for subject, group in groupby(rows, key=lambda row: row.component):
        say(console, (subject, "bold"))
        for row in group:
            say(console, "  ", (f"{row.result:<{width}}", _STYLES[row.result]), f"  {row.rule}", hang=width + 4)
