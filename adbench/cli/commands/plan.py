"""``adbench plan``: the units that ``run`` would run, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, astuple, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.commands.run import command as run_command
from adbench.cli.commands.run import settings_from
from adbench.cli.forms import form_options, print_tables
from adbench.cli.options import SectionedCommand, method_options, option, out_option, task_options
from adbench.cli.screen import counted, echo, echo_json, styled
from adbench.cli.text_table import Column, TextTable
from adbench.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.tree import Tree

    from adbench.engine.plan.forecast import Forecast
    from adbench.engine.plan.plan import Branch, Plan
    from adbench.engine.plan.settings import Settings
    from adbench.engine.plan.unit import Unit
    from adbench.registration.registry import Registry


class _RunOptions(SectionedCommand):
    """A command that accepts every option of 'run'; its help shows only its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own options, then the other options of 'run', hidden."""
        own = super().get_params(ctx)
        known = {parameter.name for parameter in own}
        others = [copy(parameter) for parameter in run_command.params if parameter.name not in known]
        for parameter in others:
            parameter.hidden = True  # type: ignore[attr-defined]
        return [*own, *others]


@click.command("plan", cls=_RunOptions)
@method_options
@task_options
@out_option
@form_options(
    add=partial(option, section="Run"),
    wide="Print a table with a row for each unit, of any width, in place of the tree.",
    csv="Print a row for each unit as CSV; other output goes to stderr.",
    json="Print the units, what cannot run, and the expected seconds as JSON.",
)
def command(form: str | None, **options: Any) -> int:
    """Show the tree of units that 'run' would run: finished units, units that cannot run with the reasons, and the
    expected time, from past records. It takes the same options as 'run'.

    Units of one branch share the backbone's features: the backbone processes each image once. Units below one bank
    share that bank.

    \b
    Exit codes:
      0  every unit is done or can run
      1  a unit would fail, or nothing can run
      2  the command is invalid
    """  # noqa: D301  \b tells click not to wrap the paragraph
    from adbench.cli.console import Console
    from adbench.cli.plugins import installed
    from adbench.cli.scope import plan_from

    registry = installed()
    plan, left_out = plan_from(registry, options)
    console = Console()
    console.cannot(left_out, plan.cannot, every=True)
    shown = _Shown(registry, settings_from(options), _forecast(options["out"]))
    if form is None:
        for branch in plan.branches:
            _print(shown.tree(branch), console.out)
    else:
        _print_units(shown, plan, left_out, form)
    if form != "json":
        echo(*_totals(shown, plan), err=form == "csv")
    return 1 if shown.failing or (plan.cannot and not plan.branches) else 0


def _print_units(shown: _Shown, plan: Plan, left_out: Sequence[str], form: str) -> None:
    """Print a row for each unit: as a table of any width, as CSV, or as JSON with what cannot run."""
    rows = [row for branch in plan.branches for row in shown.rows(branch)]
    if form == "json":
        cannot = [{"method": recipe.name, "reasons": list(reasons)} for recipe, reasons in plan.cannot]
        units = [asdict(row) for row in rows]
        known = {"expected_seconds": round(shown.seconds, 1), "units_of_unknown_time": shown.unknown}
        echo_json({"units": units, "cannot_run": cannot, "left_out": list(left_out), **known}, indent=1)
        return
    words = [Column(field.name, words=field.name != "seed") for field in fields(_PlanLine)]
    print_tables([TextTable("units", words, [list(map(str, astuple(row))) for row in rows])], form)


def _totals(shown: _Shown, plan: Plan) -> Iterator[str]:
    left = len(plan.units) - shown.done - shown.failing
    failing = f", {shown.failing} to fail" if shown.failing else ""
    size = f"{counted(len(plan.units), 'unit')} in {counted(len(plan.branches), 'branch', 'branches')}"
    yield f"{size}: {shown.done} done, {left} to run{failing}"
    if left and shown.unknown == left:
        yield "expected time: unknown, because no such unit has run here"
    elif left:
        gap = f", without {counted(shown.unknown, 'unit')} of unknown time" if shown.unknown else ""
        yield f"expected time, from past records: {_duration(shown.seconds)}{gap}"


@dataclass(frozen=True)
class _PlanLine:
    """What the table of a plan says of one unit."""

    data: str
    category: str
    method: str
    backbone: str
    bank: str
    scorer: str
    seed: int
    state: str


@dataclass
class _Twig:
    """A line of the tree, and the lines below it."""

    text: str
    twigs: list[_Twig] = field(default_factory=list)
    aside: str = ""

    def lines(self, depth: int = 0) -> Iterator[str]:
        """Lines of plain text, indented by depth."""
        yield "  " * depth + self.text + self.aside
        for twig in self.twigs:
            yield from twig.lines(depth + 1)

    def drawn(self) -> Tree:
        """A tree for a terminal."""
        from rich.tree import Tree

        tree = Tree(styled(self.text, (self.aside, "dim")))
        tree.children = [twig.drawn() for twig in self.twigs]
        return tree


def _print(twig: _Twig, out: RichConsole) -> None:
    if out.is_terminal:
        out.print(twig.drawn())
    else:
        echo(*twig.lines())


class _Shown:
    """Trees of branches, and sums over them."""

    def __init__(self, registry: Registry, settings: Settings, forecast: Forecast) -> None:
        self.registry, self.settings, self.forecast = registry, settings, forecast
        self.done = self.failing = self.unknown = 0
        self.seconds = 0.0

    def tree(self, branch: Branch) -> _Twig:
        """A tree: a backbone on a category's images; below it the banks; below each bank the scorers."""
        banks: dict[str, _Twig] = {}
        states, aside = self._look(branch)
        for unit, state in zip(branch.units, states, strict=True):
            bank = banks.setdefault(_bank(unit), _Twig(_bank(unit)))
            bank.twigs.append(_Twig(f"{_scorer(unit)}, seed {unit.seed}: {state}"))
        root = f"{_backbone(branch.units[0])} on {branch.title.partition(' on ')[2]}"
        return _Twig(root, list(banks.values()), aside)

    def rows(self, branch: Branch) -> list[_PlanLine]:
        """A row for each unit."""
        states, _ = self._look(branch)
        return [
            _PlanLine(
                unit.dataset.board_name,
                unit.category,
                unit.recipe.name,
                _backbone(unit),
                _bank(unit),
                _scorer(unit),
                unit.seed,
                state,
            )
            for unit, state in zip(branch.units, states, strict=True)
        ]

    def _look(self, branch: Branch) -> tuple[list[str], str]:
        """The states of a branch's units, and the time that those to run will take, in words."""
        states = [self._state(unit) for unit in branch.units]
        left = [(unit, count) for unit, (_, count) in zip(branch.units, states, strict=True) if count]
        return [state for state, _ in states], self._expected([unit for unit, _ in left], [count for _, count in left])

    def _expected(self, left: list[Unit], images: list[int]) -> str:
        from adbench.engine.plan.plan import Branch

        if not left:
            return ""
        estimate = self.forecast.branch(Branch(tuple(left)), images)
        self.seconds += estimate.seconds
        self.unknown += estimate.unknown
        return f"  about {_duration(estimate.seconds)}" if estimate.seconds else ""

    def _state(self, unit: Unit) -> tuple[str, int]:
        """The state of a unit, and the number of its images if it is to run."""
        from adbench.engine.plan.protocol import make_task
        from adbench.engine.plan.recipe import components_of
        from adbench.engine.run.record_builder import RecordBuilder

        try:
            task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=self.settings.skip_bad)
        except DataError as error:
            self.failing += 1
            return f"fails: {error}", 0
        components = components_of(unit.recipe, self.registry)
        record = RecordBuilder(unit, components, self.registry, self.settings.out, "cpu", task).record()
        if record is None or self.settings.reruns(record.status):
            return "to run", len(task.train) + len(task.test)
        self.done += 1
        return ("done" if record.status == "ok" else f"{record.status}: {record.reason} (--retry {record.status})"), 0


def _forecast(out: Path) -> Forecast:
    """The forecast from the records in the folder of runs."""
    from adbench.engine.plan.forecast import Forecast
    from adbench.engine.store.record import find_runs, read_record
    from adbench.errors import StorageError

    records = []
    for folder in find_runs(out):
        try:
            records.append(read_record(folder))
        except StorageError:
            continue
    return Forecast.of(record for record in records if record.status == "ok")


def _backbone(unit: Unit) -> str:
    return _parts(unit, ("preprocess", "backbone"))


def _bank(unit: Unit) -> str:
    shots = f", {unit.protocol.shots} shots" if unit.protocol.shots else ""
    return _parts(unit, ("augment", "tune", "neck", "masker", "bank")) + shots


def _scorer(unit: Unit) -> str:
    return _parts(unit, ("scorer", "aggregate"))


def _parts(unit: Unit, slots: Iterable[str]) -> str:
    from adbench.engine.plan.recipe import parts_in

    return " + ".join(_words(part) for slot in slots for part in parts_in(unit.recipe, slot))


def _words(part: Any) -> str:
    options = ", ".join(f"{key}={value}" for key, value in part.options.items())
    return f"{part.name}{options and f'({options})'}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
