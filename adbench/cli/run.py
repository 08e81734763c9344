"""``adbench run``: a method on every category of a dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.options import (
    SectionedCommand,
    dataset_from,
    method_options,
    option,
    protocol_from,
    recipe_from,
    task_options,
)

if TYPE_CHECKING:
    from adbench.engine.pipeline import Outcome, Runner
    from adbench.engine.plan import Plan
    from adbench.registry import Registry


_run_option = partial(option, section="Run")


@click.command("run", cls=SectionedCommand)
@method_options
@task_options
@_run_option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes a GPU where there is one.",
)
@_run_option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="The folder of runs."
)
@_run_option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Images at a time."
)
@_run_option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Threads that read images."
)
@_run_option(
    "--timeout",
    type=click.FloatRange(0),
    default=0,
    metavar="SECONDS",
    help="Give a unit up after so long.",
    show_default="never",
)
@_run_option("--redo", is_flag=True, help="Run finished units again.")
@_run_option("--no-figures", is_flag=True, help="Draw no pictures.")
@_run_option("--json", "as_json", is_flag=True, help="Print the records, one a line, and nothing else on stdout.")
def command(**options: Any) -> int:
    """Run a method on every category of a dataset.

    A method is a recipe, or a backbone and a scorer. A PART is a component's name (see 'adbench list'), with its
    options after a colon; lists are joined by '+'; a PART of which there may be several is given repeatedly, or as
    'none'. A unit (one method, category and seed) that is finished already is not run again.

    \b
    adbench run --recipe patchcore-lite --data demo
    adbench run --backbone dinov3 --scorer knn --data PATH
    adbench run --backbone timm:model=resnet18,layers=2+3 --bank coreset:fraction=0.01 --scorer knn:k=3 --data PATH
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.registry import installed

    registry = installed()
    plan = plan_from(registry, options)
    plan.require_units()
    require_writable(options["out"])
    return _run(registry, plan, options)


def plan_from(registry: Registry, options: dict[str, Any]) -> Plan:
    """The units that the options describe."""
    from adbench.engine.plan import make_plan

    slots = ("preprocess", "backbone", "neck", "masker", "bank", "scorer", "aggregate")
    recipe = recipe_from(registry, options["recipe"], {slot: options[slot] for slot in slots})
    protocol = protocol_from(options)
    dataset = dataset_from(registry, options["data"], options["root"])
    return make_plan([recipe], dataset, options["category"], options["seeds"], protocol, registry)


def require_writable(out: Path) -> None:
    """Find out before the work whether its results can be written.

    Raises:
        StorageError: they cannot.
    """
    from adbench.engine.record import storage_errors

    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".probe-", dir=out) as folder:
            (Path(folder) / "probe").write_bytes(b"\0" * 4096)


def _run(registry: Registry, plan: Plan, options: dict[str, Any]) -> int:
    from adbench.cli.console import Console
    from adbench.engine.pipeline import Runner, Settings, choose_device

    console = Console(quiet=options["as_json"])
    names = ("out", "batch_size", "workers", "skip_bad", "redo")
    settings = Settings(
        device=choose_device(options["device"]),
        timeout=options["timeout"] or None,
        figures=not options["no_figures"],
        **{name: options[name] for name in names},
    )
    runner = Runner(registry, settings, console.watch)
    outcomes: list[Outcome] = []
    try:
        for outcome in _outcomes(registry, runner, plan, console):
            outcomes.append(outcome)
            if options["as_json"]:
                console.record(outcome)
    except KeyboardInterrupt:
        console.interrupted(sum(map(_went_well, outcomes)), len(plan.units), options["out"])
        raise
    finally:
        console.close()
    if len(outcomes) < len(plan.units):
        console.stopped(len(plan.units) - len(outcomes), len(plan.units))
    if not options["as_json"]:
        console.summary(outcomes)
    return 0 if all(map(_went_well, outcomes)) else 1


def _went_well(outcome: Outcome) -> bool:
    return outcome.record.status == "ok" and outcome.unsaved is None


def _outcomes(registry: Registry, runner: Runner, plan: Plan, console: Any) -> Iterator[Outcome]:
    """Run the units in the executor; say how each ended. Where one cannot be written, the next could not either."""
    executor: Any = registry.get("executor", "inline").cls()

    def work(unit: Any) -> Outcome:
        console.begin(unit)
        outcome = runner.run(unit)
        console.end(outcome)
        return outcome

    for outcome in executor.run(work, plan.units):
        yield outcome
        if outcome.unsaved is not None:
            return
