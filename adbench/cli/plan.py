"""``adbench plan``: what ``run`` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adbench.cli.options import method_options, task_options
from adbench.cli.run import plan_from


@click.command("plan")
@method_options
@task_options
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
def command(**options: Any) -> int:
    """Show the parts of a method, the units that 'run' would run, those done before, and why others cannot run."""
    from adbench.registry import installed

    plan = plan_from(installed(), options)
    for recipe, reasons in plan.cannot:
        click.echo(f"cannot run: {recipe.name}")
        for reason in reasons:
            click.echo(f"  {reason}")
    shown = None
    for unit in plan.units:
        if unit.recipe is not shown:
            shown = unit.recipe
            _show_parts(shown)
        done = _is_done(unit, options["out"])
        click.echo(f"  {'done' if done else 'run '}  {unit.category}, seed {unit.seed}")
    return 1 if plan.cannot else 0


def _show_parts(recipe: Any) -> None:
    from adbench.engine.spec import SLOTS, parts_in

    click.echo(recipe.name)
    for slot in SLOTS:
        for part in parts_in(recipe, slot):
            options = ", ".join(f"{key}={value}" for key, value in part.options.items())
            click.echo(f"    {slot:<10} {part.name}{options and f' ({options})'}")


def _is_done(unit: Any, out: Path) -> bool:
    from adbench.engine.draft import Draft
    from adbench.engine.protocol import make_task
    from adbench.engine.spec import components_of
    from adbench.registry import installed

    registry = installed()
    task = make_task(unit.dataset, unit.category, unit.protocol, unit.seed)
    return Draft(unit, components_of(unit.recipe, registry), registry, out, "cpu", task).finished() is not None
