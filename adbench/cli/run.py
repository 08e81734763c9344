"""``adbench run``: a method on every category of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.options import dataset_from, method_options, protocol_from, recipe_from, task_options
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.engine.pipeline import Outcome, Runner
    from adbench.engine.plan import Plan
    from adbench.registry import Registry


@click.command("run")
@method_options
@task_options
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help="Images a batch.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Threads that read images.")
@click.option("--timeout", type=click.FloatRange(0), default=0, metavar="SECONDS", help="For each unit; 0 for none.")
@click.option("--skip-bad", is_flag=True, help="Leave out files that cannot be read; the record says which.")
@click.option("--redo", is_flag=True, help="Run units again that are finished.")
@click.option("--no-figures", is_flag=True, help="Draw no pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the records, one a line, and nothing else on stdout.")
def command(**options: Any) -> int:
    """Run a method on every category of a dataset.

    A method is a recipe, or a backbone and a scorer; bank, neck and aggregate default to what they name. PART is a
    component's name, with options after a colon: knn:k=3,metric=cosine. Lists are joined by '+': layers=2+3.
    A unit (one recipe, category and seed) that is finished is not run again.
    """
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
    protocol = protocol_from(options["shots"], options["limit_train"], options["limit_test"], options["evaluation"])
    dataset = dataset_from(registry, options["data"])
    return make_plan([recipe], dataset, options["category"], options["seeds"], protocol, registry)


def require_writable(out: Path) -> None:
    """Find out before the work whether its results can be written.

    Raises:
        StorageError: they cannot.
    """
    from adbench.engine.record import new_run, storage_errors

    with new_run(out, "probe") as draft, storage_errors(out):
        (draft / "probe").write_bytes(b"\0" * 4096)
    with storage_errors(out):
        (out / "probe" / "probe").unlink()
        (out / "probe").rmdir()


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
        console.interrupted(len(outcomes), len(plan.units), options["out"])
        raise
    finally:
        console.close()
    if not options["as_json"]:
        console.summary(outcomes)
    return 0 if all(outcome.record.status == "ok" and outcome.unsaved is None for outcome in outcomes) else 1


def _outcomes(registry: Registry, runner: Runner, plan: Plan, console: Any) -> Iterator[Outcome]:
    """Run the units in the executor; say how each ended."""
    executor: Any = registry.get("executor", "inline").cls()

    def work(unit: Any) -> Outcome:
        console.begin(unit)
        outcome = runner.run(unit)
        console.end(outcome)
        return outcome

    for outcome in executor.run(work, plan.units):
        yield outcome
        if isinstance(outcome.unsaved, StorageError):
            return
