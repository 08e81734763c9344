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

from adbench.cli.options import (
    FiniteRange,
    SectionedCommand,
    cache_options,
    method_options,
    option,
    out_option,
    parse_rule,
    task_options,
)
from adbench.errors import StorageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.api.executor import Executor
    from adbench.cli.console import Console
    from adbench.engine.plan.plan import Plan
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.dispatch import Dispatcher
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
    "--runtime",
    type=click.Choice(["auto", "torch", "onnxruntime", "openvino"]),
    default="auto",
    show_default=True,
    help="What computes the backbone; auto takes OpenVINO, else ONNX Runtime, where installed and equal to torch (to"
    " 1e-4), else torch.",
)
@out_option
@_run_option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Images at a time."
)
@_run_option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Threads that read images."
)
@_run_option(
    "--timeout",
    type=FiniteRange(0, 1e7),
    default=0,
    metavar="SECONDS",
    help="Give a unit up after so long. With --executor process it ends seconds later, whatever it does; the executor"
    " inline can only ask it to, as soon as Python runs.",
    show_default="never",
)
@_run_option("--redo", is_flag=True, help="Run units again that ended before, however they ended.")
@_run_option(
    "--retry",
    type=click.Choice(["failed", "timeout", "out-of-memory"]),
    multiple=True,
    help="Run units again that ended so; failed stands for all that did not end well.",
)
@_run_option(
    "--threshold",
    default="conformal",
    show_default=True,
    callback=parse_rule,
    metavar="RULE",
    help="How a threshold follows from normal images that the bank has not seen: conformal:alpha=0.05,"
    " quantile:alpha=0.05, sigma:k=3, or none.",
)
@_run_option("--no-figures", is_flag=True, help="Draw no pictures.")
@_run_option(
    "--executor",
    default="inline",
    show_default=True,
    metavar="PART",
    help="Where units run, such as process:workers=4. A component that ends its process, or hangs and heeds no"
    " --timeout, costs its own unit with process, and the whole command with inline.",
)
@_run_option("--address", metavar="ADDRESS", help="Of the cluster, for an executor that has one.")
@_run_option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the records, one a line, and nothing else on stdout: what components print goes to stderr.",
)
@cache_options
def command(**options: Any) -> int:
    """Run a method, or many, on every category of a dataset.

    A method is a recipe, or a backbone and a scorer. A PART is a component's name (see 'adbench list'), with its
    options after a colon; lists are joined by '+'; a value with a comma stands in quotes, and the whole in others for
    the shell: 'onnx:path="a,b.onnx"'. A PART of which there may be several is given repeatedly, or as 'none'. A unit
    (one method, category and seed) that has ended before is not run again.

    \b
    adbench run --recipe patchcore-lite --data demo
    adbench run --backbone dinov3 --scorer knn --data PATH
    adbench run --all --backbone resnet18 --bank full --bank coreset --scorer knn:k=1 --scorer knn:k=3 --data PATH
    adbench run --suite configs/suites/demo.yaml

    \b
    Exit codes:
      0    every unit has a result, made now or before
      1    a unit failed, could not begin, or could not be saved; the others ran
      2    the command cannot be meant as it is written
      130  stopped by Ctrl-C; the same command goes on from there
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.cli.console import Console
    from adbench.cli.plugins import installed
    from adbench.cli.scope import plan_from

    registry = installed()
    console = Console(quiet=options["as_json"])
    plan, left_out = plan_from(registry, options)
    console.cannot(left_out, plan.cannot)
    plan.require_units()
    executor = _executor(registry, options)
    require_writable(options["out"])
    tidy_up(options["out"], options["cache"], console)
    tell_surveys(plan, console)
    with records_alone(console) if options["as_json"] else nullcontext():
        return _run(registry, plan, executor, settings_from(options), console, options)


def _executor(registry: Registry, options: dict[str, Any]) -> Executor:
    from adbench.engine.plan.recipe import Part

    part = Part.parse(options["executor"])
    if options["address"] is not None:
        part = Part(name=part.name, options={**part.options, "address": options["address"]})
    return cast("Executor", part.make("executor", registry))


def tell_surveys(plan: Plan, console: Console) -> None:
    """Say once how the folders of each dataset and category were read, and what was passed over."""
    seen = {(id(unit.dataset), unit.category): unit for unit in plan.units}
    for dataset in {id(unit.dataset): unit.dataset for unit in seen.values()}.values():
        _tell_survey(dataset, "", console)
    for unit in seen.values():
        _tell_survey(unit.dataset, unit.category, console)


def _tell_survey(dataset: Dataset, category: str, console: Console) -> None:
    with suppress(Exception):  # whatever it is, the unit will fail of it, with a record
        survey = dataset.survey(category)
        if survey is not None:
            console.survey("/".join(filter(None, [dataset.board_name, category])), survey)


def settings_from(options: dict[str, Any]) -> Settings:
    """What the options say of how units are run."""
    from adbench.engine.plan.settings import Settings

    names = ("out", "batch_size", "workers", "skip_bad", "redo", "runtime", "cache", "cache_limit", "threshold")
    retry = ("failed", "timeout", "out-of-memory") if "failed" in options["retry"] else options["retry"]
    return Settings(
        device=options["device"],
        timeout=options["timeout"] or None,
        figures=not options["no_figures"],
        retry=tuple(retry),
        **{name: options[name] for name in names},
    )


def require_writable(out: Path) -> None:
    """Find out before the work whether its results can be written.

    Raises:
        StorageError: they cannot.
    """
    from adbench.engine.process.location import is_here
    from adbench.engine.process.scratch import Scratch
    from adbench.engine.store.record import storage_errors

    if is_here(out) and out.is_file():
        raise StorageError(f"--out {out}: that is a file; give a folder, or a name that is free")
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if is_here(out):
            with Scratch(".probe-", out) as folder:
                (folder / "probe").write_bytes(b"\0" * 4096)


def tidy_up(out: Path, cache: Path | None, console: Console) -> None:
    """Remove what killed runs have left behind, here and among temporary files, and say so."""
    from adbench.engine.features.feature_cache import sweep_drafts
    from adbench.engine.process.location import is_here
    from adbench.engine.process.lock import sweep_claims
    from adbench.engine.process.scratch import DRAFTS, sweep

    count, freed = sweep(Path(tempfile.gettempdir()))
    if is_here(out):
        drafts, more = sweep(out, DRAFTS)
        count, freed = count + drafts + sweep_claims(out), freed + more
    if cache is not None:
        drafts, more = sweep_drafts(cache / "features")
        count, freed = count + drafts, freed + more
    if count:
        console.note(f"removed {count} leftovers of runs that were killed ({freed / 1e6:.1f} MB)")


@contextmanager
def records_alone(console: Console) -> Iterator[None]:
    """Standard output is the records'; whatever else comes there, from Python, C or a child, goes to standard error."""
    given, kept = sys.stdout, -1
    given.flush()
    console.records = given
    with suppress(OSError, ValueError):  # it is closed, or no file
        console.records = os.fdopen(os.dup(given.fileno()), "w", encoding=given.encoding, errors=given.errors)
    with suppress(OSError):
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        with suppress(OSError):  # a component closed what is not its own
            os.dup2(kept, 1)
            os.close(kept)
        if console.records is not given:
            with suppress(OSError):
                console.records.close()
        console.records = None


def _run(
    registry: Registry, plan: Plan, executor: Executor, settings: Settings, console: Console, options: dict[str, Any]
) -> int:
    from adbench.engine.run.dispatch import Callbacks, Dispatcher

    def end(outcome: Any) -> None:
        console.end(outcome)
        if options["as_json"]:
            console.record(outcome)

    hearing = Callbacks(console.begin, console.watch, end, console.note, console.refused)
    dispatcher = Dispatcher(registry, settings, executor, hearing)
    try:
        dispatcher.run(plan.branches)
    except KeyboardInterrupt:
        well = sum(outcome.well for outcome in dispatcher.outcomes)
        with suppress(OSError):  # the terminal may be gone
            console.interrupted(well, len(plan.units), options["out"])
        raise
    finally:
        console.close()
    return _sum_up(dispatcher, plan, console, options)


def _sum_up(dispatcher: Dispatcher, plan: Plan, console: Console, options: dict[str, Any]) -> int:
    """Say how it went; the exit code.

    Raises:
        AdbenchError: not one unit could begin, and why.
    """
    outcomes, refusals, total = dispatcher.outcomes, dispatcher.refusals, len(plan.units)
    if refusals and not outcomes:
        raise refusals[0].error()
    if len(outcomes) + len(refusals) < total:
        console.stopped(total - len(outcomes) - len(refusals), total)
    if not options["as_json"]:
        console.summary(outcomes, (unit.recipe for unit in plan.units))
    return 0 if not refusals and all(outcome.well for outcome in outcomes) else 1
