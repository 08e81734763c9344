"""``adbench check``: the conformance kit without pytest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench.cli.screen import echo, screen, styled
from adbench.errors import PluginError, UnknownName, UsageError

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from adbench.api.component import Component
    from adbench.registry import Entry, Problem, RecipeFile, Registry
    from adbench.testing import Check, CheckResult

_STYLES = {"pass": "green", "FAIL": "bold red", "expected": "yellow", "not here": "dim", "not tried": "dim"}


class Row(NamedTuple):
    """A line of the table: who, what was found, and how it ended."""

    subject: str
    told: str
    status: str


@dataclass(frozen=True)
class Plugin:
    """What is checked.

    Attributes:
        registry: everything installed, and the plugin.
        dist: its name in there.
    """

    registry: Registry
    dist: str

    @property
    def entries(self) -> list[Entry]:
        """Its components that can be used."""
        return [entry for entry in self.registry.entries() if _normal(entry.dist) == _normal(self.dist)]

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the others."""
        return [problem for problem in self.registry.problems if _normal(problem.dist) == _normal(self.dist)]

    @property
    def recipes(self) -> list[RecipeFile]:
        """Its recipes."""
        return [file for file in self.registry.recipe_files.values() if _normal(file.dist) == _normal(self.dist)]


@click.command("check")
@click.argument("dist")
@click.option("--metadata", "metadata_only", is_flag=True, help="Only classes and options: fast, without torch.")
def command(dist: str, metadata_only: bool) -> int:
    """Check that every component of DIST keeps its contract, and that its recipes can be read.

    DIST is an installed distribution, such as adbench-core, or an importable module with hooks, such as my_plugin.
    """
    from adbench.registry import instead

    plugin = plugin_in(dist)
    with instead(plugin.registry):
        rows = list(_rows(plugin, metadata_only=metadata_only))
    _show(dist, rows)
    failed = [row for row in rows if row.status == "FAIL"]
    for row in failed:  # once more as whole lines, which a table folds
        echo(f"failed: {row.subject}: {row.told}", err=True, fg="red")
    return int(bool(failed))


def plugin_in(dist: str) -> Plugin:
    """An installed distribution, or a module that need not be installed.

    Raises:
        UnknownName: no such distribution or module.
        PluginError: it cannot be loaded.
        UsageError: it registers neither a component nor a recipe.
    """
    from adbench.registry import installed

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
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def _module_in(name: str, known: Registry) -> Plugin:
    """What one module registers, beside everything installed."""
    from adbench.faults import raised
    from adbench.registry import load_registry

    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0]):
            raise UnknownName("plugin", name, {entry.dist for entry in known.entries()}) from None
        raise PluginError(f"plugin {name!r} cannot be imported: {raised(error)}") from error
    for registered, plugin in known.manager.list_name_plugin():
        if plugin is module:
            return Plugin(known, registered.partition(":")[0])
    everything = load_registry()
    _load(everything, name, module)
    return Plugin(everything, name)


def _load(registry: Registry, name: str, module: Any) -> None:
    from adbench.errors import AdbenchError
    from adbench.faults import raised

    try:
        registry.load(name, "", module)
    except AdbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {name!r}: its hook raised {raised(error)}") from error


def _rows(plugin: Plugin, *, metadata_only: bool) -> Iterator[Row]:
    for problem in plugin.problems:
        yield Row(" ".join(problem.component), problem.reason, "FAIL")
    checks: list[Check] = []
    for entry in plugin.entries:
        try:
            checks += _checks(entry.cls, metadata_only=metadata_only)
        except (PluginError, UsageError) as error:
            yield _unmade(entry.cls, error)
    yield from _outcomes(checks)
    yield from (_recipe(file, plugin.registry) for file in plugin.recipes)


def _checks(cls: type[Component], *, metadata_only: bool) -> list[Check]:
    from adbench.faults import made
    from adbench.testing import checks_for

    return checks_for(made(cls), metadata_only=metadata_only)


def _unmade(cls: type[Component], error: PluginError | UsageError) -> Row:
    """A component that cannot be made: because it needs options, or because something is wrong with it."""
    subject = f"{cls.kind} {cls.name}"
    if isinstance(error, PluginError):
        return Row(subject, str(error), "FAIL")
    needed = [name for name, field in cls.Config.model_fields.items() if field.is_required()]
    if needed:
        return Row(subject, f"needs options: {', '.join(needed)}; give them in your own tests", "not here")
    return Row(subject, f"{cls.kind} {cls.name!r} cannot be made with its own defaults: {error}", "FAIL")


def _outcomes(checks: Iterable[Check]) -> Iterator[Row]:
    """A row for each check; those that would only repeat what another one found are counted."""
    untried: Counter[str] = Counter()
    for outcome in _run(checks):
        component = outcome.check.component
        subject = f"{component.kind} {component.name}"
        if outcome.status.value == "not tried":
            untried[subject] += 1
        else:
            yield Row(subject, outcome.detail or outcome.check.sentence, outcome.status.value)
    for subject, count in untried.items():
        yield Row(subject, f"{count} more rules, which build on the one that failed", "not tried")


def _run(checks: Iterable[Check]) -> Iterator[CheckResult]:
    """Outcomes; on a terminal, the check at work is shown meanwhile."""
    from adbench.testing import run_checks

    with screen(err=True).status("checking") as status:
        for outcome in run_checks(checks):
            status.update(styled(f"checked {outcome.check.component.title}: {outcome.check.name}"))
            yield outcome


def _recipe(file: RecipeFile, registry: Registry) -> Row:
    """Whether a recipe can be read, and names parts that exist."""
    from adbench.engine.plan.recipe import read_recipe
    from adbench.faults import near_to

    subject = f"recipe {file.name}"
    try:
        recipe = read_recipe(file.path)
        if recipe.name != file.name:
            told = f"{file.path} says 'recipe: {recipe.name}', but --recipe takes the file's name; make them the same"
            return Row(subject, told, "FAIL")
        _make_parts(recipe, registry)
    except UnknownName as error:
        misspelt = error.what == "option" or near_to(error.name, error.known) is not None
        told = str(error) if misspelt else f"no installed plugin has {error.what} {error.name!r}, which it names"
        return Row(subject, told, "FAIL" if misspelt else "not here")
    except (UsageError, PluginError) as error:
        return Row(subject, str(error), "FAIL")
    return Row(subject, "It can be read, and its parts exist and take the options that it gives.", "pass")


def _make_parts(recipe: Any, registry: Registry) -> None:
    from adbench.engine.plan.recipe import SLOTS, parts_in

    for slot, kind in SLOTS.items():
        for part in parts_in(recipe, slot):
            part.make(kind, registry)


def _show(dist: str, rows: list[Row]) -> None:
    """The rows, with what failed last, and a line of totals."""
    ordered = sorted(rows, key=lambda row: row.status == "FAIL")  # failures last, to be seen
    title, console = f"{dist}: does it keep its contracts?", screen()
    if console.is_terminal:
        _draw(console, title, ordered)
    else:
        echo(title, *(f"{row.status}  {row.subject}  {row.told}" for row in ordered))
    totals = Counter(row.status for row in rows)
    echo(", ".join(f"{count} {name}" for name, count in totals.items()) or "nothing to check")


def _draw(console: RichConsole, title: str, rows: Sequence[Row]) -> None:
    from rich.table import Table

    table = Table(title=styled(title), title_justify="left")
    for column in ("component", "rule", "result"):
        table.add_column(column, overflow="fold", min_width=min(len(column), console.width // 4))
    for component, told, result in rows:
        table.add_row(styled(component), styled(told), styled((result, _STYLES[result])))
    console.print(table)
