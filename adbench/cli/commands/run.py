"""``adbench run``: a method, every combination of parts, or a suite, on every category of a dataset."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from adbench.cli.forms import form_options
from adbench.cli.options import (
    FiniteRange,
    SectionedCommand,
    cache_options,
    computing_option,
    method_options,
    option,
    out_option,
    parse_rule,
    task_options,
)
from adbench.cli.screen import counted
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.api.executor import Executor
    from adbench.cli.console import Console
    from adbench.engine.plan.plan import Plan
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.dispatch import Dispatcher
    from adbench.registration.registry import Registry


_run_option = partial(option, section="Run")


@click.command("run", cls=SectionedCommand)
@method_options
@task_options
@computing_option("--device", "Run")
@computing_option("--runtime", "Run")
@out_option
@computing_option("--batch-size", "Run")
@computing_option("--workers", "Run")
@_run_option(
    "--timeout",
    type=FiniteRange(0, 1e7),
    default=0,
    metavar="SECONDS",
    help="Stop a unit after this time. With --executor process it always ends, seconds later at most; the executor"
    " inline stops it only when Python code runs.",
    show_default="never",
)
@_run_option("--redo", is_flag=True, help="Run all units again, even finished ones.")
@_run_option(
    "--retry",
    type=click.Choice(["failed", "timeout", "out-of-memory"]),
    multiple=True,
    help="Run units with this status again; failed means every unsuccessful status.",
)
@_run_option(
    "--threshold",
    default="conformal",
    show_default=True,
    callback=parse_rule,
    metavar="RULE",
    help="The rule that sets a threshold from normal images outside the bank: conformal:alpha=0.05,"
    " quantile:alpha=0.05, sigma:k=3, or none.",
)
@_run_option("--no-figures", is_flag=True, help="Write no pictures.")
@_run_option(
    "--save",
    is_flag=True,
    help="Keep the fitted detector of each unit beside its record, in detector.adbench, for 'adbench predict'.",
)
@_run_option(
    "--executor",
    default="inline",
    show_default=True,
    metavar="PART",
    help="The executor of units, such as process:workers=4. A component that ends its process, or ignores --timeout,"
    " loses its own unit with process, and the whole command with inline.",
)
@_run_option("--address", metavar="ADDRESS", help="The address of the cluster, for an executor that has one.")
@form_options(
    add=_run_option,
    csv="Print the table at the end as CSV; other output goes to stderr.",
    json="Print only the records on stdout, one for each line; other output goes to stderr.",
)
@cache_options
def command(**options: Any) -> int:
    """Run a method, or many, on every category of a dataset.

    A method is a recipe, or a backbone and a scorer. A PART is a component's name (see 'adbench list'), with its
    options after a colon. Use '+' in lists. Put a value with a comma into quotes, and the whole PART into other quotes
    for the shell: 'onnx:path="a,b.onnx"'. Repeat an option to give several PARTs; 'none' gives no PART. A finished
    unit (one method, category and seed) does not run again.

    \b
    adbench run --recipe adbench-lite --data demo
    adbench run --backbone dinov3 --scorer knn --data PATH
    adbench run --all --backbone resnet18 --bank full --bank coreset --scorer knn:k=1 --scorer knn:k=3 --data PATH
    adbench run --suite configs/suites/demo.yaml

    \b
    Exit codes:
      0    every unit has a result, from this run or an earlier one
      1    a unit failed, could not start, or could not be saved; the others ran
      2    the command is invalid
      130  stopped by Ctrl-C; the same command continues
    """  # noqa: D301  \b tells click not to wrap the paragraph
    from adbench.cli.console import Console
    from adbench.cli.plugins import installed
    from adbench.cli.scope import plan_from

    registry = installed()
    console = Console(form=options["form"])
    plan, left_out = plan_from(registry, options)
    alone = not plan.units and len(plan.cannot) == 1  # then the error says it all
    console.cannot(left_out, () if alone else plan.cannot)
    plan.require_units()
    executor = _executor(registry, options)
    require_writable(options["out"])
    tidy_up(options["out"], options["cache"], console)
    tell_surveys(plan, console)
    with records_alone(console) if options["form"] == "json" else nullcontext():
        return _run(registry, plan, executor, settings_from(options), console, options)


def _executor(registry: Registry, options: dict[str, Any]) -> Executor:
    from adbench.engine.plan.recipe import Part

    part = Part.parse(options["executor"])
    if options["address"] is not None:
        part = Part(name=part.name, options={**part.options, "address": options["address"]})
    return cast("Executor", part.make("executor", registry))


def tell_surveys(plan: Plan, console: Console) -> None:
    """Print once how the folders of each dataset and category were read, and which files were passed over."""
    by_category = {(id(unit.dataset), unit.category): unit for unit in plan.units}
    for dataset in {id(unit.dataset): unit.dataset for unit in by_category.values()}.values():
        _print_survey(dataset, "", console)
    for unit in by_category.values():
        _print_survey(unit.dataset, unit.category, console)


def _print_survey(dataset: Dataset, category: str, console: Console) -> None:
    with suppress(Exception):  # the unit will fail with the same error, and leave a record
        survey = dataset.survey(category)
        if survey is not None:
            console.survey("/".join(filter(None, [dataset.board_name, category])), survey)


def settings_from(options: dict[str, Any]) -> Settings:
    """The settings of the options."""
    from adbench.engine.plan.settings import Settings

    names = ("out", "batch_size", "workers", "skip_bad", "redo", "runtime", "cache", "cache_limit", "threshold", "save")
    retry = ("failed", "timeout", "out-of-memory") if "failed" in options["retry"] else options["retry"]
    return Settings(
        device=options["device"],
        timeout=options["timeout"] or None,
        figures=not options["no_figures"],
        retry=tuple(retry),
        **{name: options[name] for name in names},
    )


def require_writable(out: Path) -> None:
    """Check before the run that results can be written.

    Raises:
        StorageError: they cannot be written.
    """
    from adbench.engine.process.location import is_here
    from adbench.engine.process.scratch import Scratch
    from adbench.engine.store.record import storage_errors

    if is_here(out) and out.is_file():
        raise StorageError(f"--out {out} is a file; give a folder or a new name")
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if is_here(out):
            with Scratch(".probe-", out) as folder:
                (folder / "probe").write_bytes(b"\0" * 4096)


def tidy_up(out: Path, cache: Path | None, console: Console) -> None:
    """Remove files of killed runs, from the folder of runs and from temporary files, and print their number."""
    from adbench.engine.features.cache_files import delete_abandoned
    from adbench.engine.process.location import is_here
    from adbench.engine.process.lock import delete_dead_locks
    from adbench.engine.process.scratch import TEMPORARY_FOLDERS, delete_leftovers

    count, freed = delete_leftovers(Path(tempfile.gettempdir()))
    if is_here(out):
        files, more = delete_leftovers(out, TEMPORARY_FOLDERS)
        count, freed = count + files + delete_dead_locks(out), freed + more
    if cache is not None:
        files, more = delete_abandoned(cache / "features")
        count, freed = count + files, freed + more
    if count:
        console.note(f"removed {counted(count, 'leftover')} of killed runs ({freed / 1e6:.1f} MB)")


@contextmanager
def records_alone(console: Console) -> Iterator[None]:
    """Reserve standard output for records; other output, of Python, C or a child process, goes to standard error."""
    stdout, saved = sys.stdout, -1
    stdout.flush()
    console.records = stdout
    with suppress(OSError, ValueError):  # the stream is closed, or not a file
        console.records = os.fdopen(os.dup(stdout.fileno()), "w", encoding=stdout.encoding, errors=stdout.errors)
    with suppress(OSError):
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(OSError):  # a component closed this descriptor
            os.dup2(saved, 1)
            os.close(saved)
        if console.records is not stdout:
            with suppress(OSError):
                console.records.close()
        console.records = None


def _run(
    registry: Registry, plan: Plan, executor: Executor, settings: Settings, console: Console, options: dict[str, Any]
) -> int:
    from adbench.detector.saving import dispatcher_of
    from adbench.engine.run.orders import Callbacks

    def end(outcome: Any) -> None:
        console.end(outcome)
        if options["form"] == "json":
            console.record(outcome)

    callbacks = Callbacks(console.begin, console.watch, end, console.note, console.refused)
    dispatcher = dispatcher_of(registry, settings, executor, callbacks)
    try:
        dispatcher.run(plan.branches)
    except KeyboardInterrupt:
        finished = sum(outcome.well for outcome in dispatcher.outcomes)
        with suppress(OSError):  # the terminal may be gone
            console.interrupted(finished, len(plan.units), options["out"])
        raise
    finally:
        console.close()
    return _sum_up(dispatcher, plan, console, options)


def _sum_up(dispatcher: Dispatcher, plan: Plan, console: Console, options: dict[str, Any]) -> int:
    """Print the summary of a run; return the exit code.

    Raises:
        AdbenchError: no unit could start; the message gives the reason.
    """
    outcomes, refusals, total = dispatcher.outcomes, dispatcher.refusals, len(plan.units)
    if refusals and not outcomes:
        raise refusals[0].error()
    if len(outcomes) + len(refusals) < total:
        console.stopped(total - len(outcomes) - len(refusals), total)
    if options["form"] != "json":
        asked = any(unit.corruptions or unit.drifts for unit in plan.units)
        console.summary(outcomes, (unit.recipe for unit in plan.units), robustness=asked)
    return 0 if not refusals and all(outcome.well for outcome in outcomes) else 1
