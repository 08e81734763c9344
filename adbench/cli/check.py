"""``adbench check``: the conformance kit without pytest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from adbench.cli.screen import echo, screen, styled
from adbench.errors import PluginError, UnknownName, UsageError

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from adbench.api.component import Component
    from adbench.registry import Registry
    from adbench.testing import Check, Outcome

_STYLES = {"pass": "green", "FAIL": "bold red", "expected": "yellow", "not here": "dim"}


@click.command("check")
@click.argument("dist")
@click.option("--metadata", "metadata_only", is_flag=True, help="Only classes and options: fast, without torch.")
def command(dist: str, metadata_only: bool) -> int:
    """Check that every component of DIST keeps its contract.

    DIST is an installed distribution, such as adbench-onnx, or an importable module with hooks, such as my_plugin.
    """
    checks: list[Check] = []
    needy: dict[str, str] = {}
    for cls in components_in(dist):
        needed = [name for name, field in cls.Config.model_fields.items() if field.is_required()]
        if needed:
            needy[f"{cls.kind} {cls.name}"] = f"needs options: {', '.join(needed)}; give them in your own tests"
        else:
            checks += _checks(cls, metadata_only=metadata_only)
    outcomes = list(_run(checks))
    _show(dist, outcomes, needy)
    return int(any(outcome.status.value == "FAIL" for outcome in outcomes))


def components_in(dist: str) -> list[type[Component]]:
    """The component classes of a distribution, or of a module that need not be installed.

    Raises:
        UnknownName: no such distribution or module.
        PluginError: it cannot be loaded.
        UsageError: it registers no component.
    """
    from adbench.registry import installed

    registry = installed()
    for problem in registry.problems:
        if _normal(problem.dist) == _normal(dist):
            raise PluginError(f"plugin {dist!r} cannot be loaded: {problem.reason}")
    found = [entry.cls for entry in registry.entries() if _normal(entry.dist) == _normal(dist)]
    found = found or [entry.cls for entry in _load_module(dist, registry).entries()]
    if not found:
        raise UsageError(f"{dist!r} registers no component; mark its register_components function with @hookimpl")
    return found


def _normal(dist: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def _load_module(name: str, known: Registry) -> Registry:
    """A registry of what one module registers."""
    from adbench import hookspecs
    from adbench.registry import Registry

    try:
        module = import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0]):
            raise UnknownName("plugin", name, {entry.dist for entry in known.entries()}) from None
        raise PluginError(f"plugin {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    alone = Registry()
    alone.manager.add_hookspecs(hookspecs)
    alone.load(name, "", module)
    return alone


def _checks(cls: type[Component], *, metadata_only: bool) -> list[Check]:
    from adbench.testing import checks_for

    try:
        return checks_for(cls(), metadata_only=metadata_only)
    except UsageError as error:
        raise PluginError(f"{cls.kind} {cls.name!r} cannot be made with its own defaults: {error}") from None


def _run(checks: Iterable[Check]) -> Iterator[Outcome]:
    """Outcomes; on a terminal, the check at work is shown meanwhile."""
    from adbench.testing import run_checks

    with screen(err=True).status("checking") as status:
        for outcome in run_checks(checks):
            status.update(styled(f"checked {outcome.check.component.title}: {outcome.check.name}"))
            yield outcome


def _show(dist: str, outcomes: list[Outcome], needy: dict[str, str]) -> None:
    """A row a check, with the message where it did not pass, and a line of totals."""
    rows = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.status.value == "FAIL"):  # failures last, to be seen
        told = outcome.detail or outcome.check.sentence
        component = f"{outcome.check.component.kind} {outcome.check.component.name}"
        rows.append((component, told, outcome.status.value))
    rows += [(component, reason, "not here") for component, reason in needy.items()]
    title, console = f"{dist}: does it keep its contracts?", screen()
    if console.is_terminal:
        _draw(console, title, rows)
    else:
        echo(title, *(f"{result}  {component}  {told}" for component, told, result in rows))
    totals = Counter(outcome.status.value for outcome in outcomes)
    echo(", ".join(f"{count} {name}" for name, count in totals.items()) or "nothing to check")


def _draw(console: RichConsole, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    from rich.table import Table

    table = Table(title=styled(title), title_justify="left")
    for column in ("component", "rule", "result"):
        table.add_column(column, overflow="fold", min_width=min(len(column), console.width // 4))
    for component, told, result in rows:
        table.add_row(styled(component), styled(told), styled((result, _STYLES[result])))
    console.print(table)
