"""``adbench plan``: what ``run`` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adbench.cli.options import SectionedCommand, method_options, option, task_options
from adbench.cli.run import plan_from
from adbench.errors import DataError


@click.command("plan", cls=SectionedCommand)
@method_options
@task_options
@option(
    "--out",
    section="Run",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder of runs.",
)
def command(**options: Any) -> int:
    """Show the parts of a method, the units that 'run' would run, those done before, and why others cannot run."""
    from adbench.registry import installed

    plan = plan_from(installed(), options)
    for recipe, reasons in plan.cannot:
        click.echo(f"cannot run: {recipe.name}")
        for reason in reasons:
            click.echo(f"  {reason}")
    shown, failures = None, len(plan.cannot)
    for unit in plan.units:
        if unit.recipe is not shown:
            shown = unit.recipe
            _show_parts(shown)
        try:
            state = "done" if _is_done(unit, options["out"], skip_bad=options["skip_bad"]) else "run"
            click.echo(f"  {state:<5} {unit.category}, seed {unit.seed}")
        except DataError as error:
            failures += 1
            click.echo(f"  fails {unit.category}, seed {unit.seed}: {error}")
    return 1 if failures else 0


def _show_parts(recipe: Any) -> None:
    from adbench.engine.spec import SLOTS, parts_in

    click.echo(recipe.name)
    for slot in SLOTS:
        for part in parts_in(recipe, slot):
            options = ", ".join(f"{key}={value}" for key, value in part.options.items())
            click.echo(f"    {slot:<10} {part.name}{options and f' ({options})'}")


def _is_done(unit: Any, out: Path, *, skip_bad: bool) -> bool:
    from adbench.engine.draft import Draft
    from adbench.engine.protocol import make_task
    from adbench.engine.spec import components_of
    from adbench.registry import installed

    registry = installed()
    task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed, skip_bad=skip_bad)
    return Draft(unit, components_of(unit.recipe, registry), registry, out, "cpu", task).finished() is not None
