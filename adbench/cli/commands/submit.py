"""``adbench board submit`` and ``verify``: records that others can trust, and others' records put to the test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.board_context import known_here
from adbench.cli.options import FiniteRange, places
from adbench.cli.run_data import dataset_of
from adbench.cli.screen import counted, echo, visible
from adbench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.boards.records.board_files import BoardFiles, BuildReport
    from adbench.boards.records.records_io import FoundRecord
    from adbench.engine.store.record import ResultRecord

TOLERANCE = 0.001
"""A tenth of a point, the last digit that boards show: what another device or thread count may move."""
_data_option = click.option(
    "--data", metavar="NAME|PATH", help="The dataset, where neither the record's name nor the run's folder leads to it."
)


@click.command("submit")
@click.argument("runs", callback=places, nargs=-1, required=True)
@_data_option
@click.option("--method", metavar="NAME", help="Which method, where RUNS hold several: its name, or its key.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("leaderboards"),
    show_default=True,
    help="The leaderboards' folder, in a checkout of the repository.",
)
@click.option(
    "--replace",
    "replacing",
    is_flag=True,
    help="Let these records take the place of others for the same method, category and seed; each is said.",
)
def submit_command(runs: tuple[Path, ...], data: str | None, method: str | None, out: Path, replacing: bool) -> int:
    """Re-check all records of one method in RUNS, and put them on the boards, ready for a pull request.

    Checked are schema, identity, regime, the raw scores' hash, counts, all metrics and intervals from the raw scores,
    that every category and seed of the board is there, and that weights are trained. Nothing is written unless all is
    well. Where raw scores or the dataset are not here, the record is listed apart, as unverified, without a rank.
    """
    from dataclasses import replace

    from adbench.boards.publish import build
    from adbench.boards.records.board_files import BuildReport, read_runs
    from adbench.boards.records.submission import of_one_method
    from adbench.cli.board_building import renderers, report
    from adbench.cli.recheck import Recheck

    outcome, recheck = BuildReport(), Recheck(data)
    found = of_one_method(list(read_runs(runs, outcome, known_here(data, lambda *_: ""))), method)
    _examine(found, out, outcome)
    unseen = [recheck.witness(_folder(each), each.record) for each in found]
    outcome.problems += recheck.faults
    if outcome.problems:
        echo(f"nothing written: {counted(len(outcome.problems), 'problem')}", err=True)
        return report(outcome)
    printed = replace(renderers(), known=known_here(data, recheck.witness))
    built = build([_folder(each) for each in found], out, printed, replacing=replacing)
    built.news[:0] = outcome.news
    name, again = found[0].record.recipe.name, sum(not reason for reason in unseen)
    echo(
        f"{counted(len(found), 'record')} of {visible(name, 100)!r} below {out}, {again} of them measured again; commit"
        " that folder, and open a pull request"
    )
    return report(built)


def _folder(found: FoundRecord) -> Path:
    """Of the run that a record was found in."""
    return cast("Path", found.folder)


def _examine(found: Sequence[FoundRecord], out: Path, outcome: BuildReport) -> None:
    """Compare the records with what their boards ask for."""
    from adbench.boards.board import belongs
    from adbench.boards.records.submission import review

    homeless = list(found)
    for shelf in _shelves(out, outcome):
        taken = [each for each in found if belongs(each.record, shelf.board)]
        homeless = [each for each in homeless if each not in taken]
        if taken:
            seen = review(shelf.board, taken, _categories(shelf, taken))
            outcome.problems += seen.faults
            outcome.news += [f"warning: {sentence}" for sentence in seen.warnings]
    outcome.problems += [f"{each.where}: no board below {out} takes it" for each in homeless]


def _shelves(out: Path, outcome: BuildReport) -> Iterator[BoardFiles]:
    from adbench.boards.records.board_files import find_boards, read_shelf

    return (read_shelf(folder, outcome, known_here()) for folder in find_boards(out))


def _categories(shelf: BoardFiles, taken: Sequence[FoundRecord]) -> tuple[str, ...]:
    """Those that the board names, or else all that its records know."""
    known = {each.record.task.category for each in (*shelf.found, *taken)}
    return tuple(sorted(known)) if shelf.board.categories is None else shelf.board.categories


@click.command("verify")
@click.argument("record", type=click.Path(exists=True, path_type=Path))
@_data_option
@click.option("--id", "prefix", default="", metavar="ID", help="Only the record whose id begins so, in a file of many.")
@click.option(
    "--tolerance",
    type=FiniteRange(0, 1),
    default=TOLERANCE,
    show_default=True,
    help="By how much a metric may differ, as a fraction.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def verify_command(record: Path, data: str | None, prefix: str, tolerance: float, device: str) -> int:
    """Run the recipe of RECORD again, on its own task, and compare: exit code 1 if anything disagrees.

    Compared are every metric, regime, counts, images, weights and all else that follows from running it. RECORD is a
    run's folder, a record.json, or a board's file of records. Nothing is taken from the cache.
    """
    from adbench.engine.store.record import RECORD_FILE

    records = [each for each in _records(record) if prefix in ("", each.id[: len(prefix)])]
    if not records:
        raise UsageError(f"{record}: no record has an id that begins with {prefix!r}")
    folder = record if record.is_dir() else record.parent if record.name == RECORD_FILE else None
    agreed = [_verify(each, _data_of(each, data, folder), tolerance, device) for each in records]
    return 0 if all(agreed) else 1


def _records(path: Path) -> list[ResultRecord]:
    """Raises `StorageError` if one of them cannot be trusted as it stands."""
    from adbench.boards.records.records_io import read_lines, read_run

    found = [each for _, each in read_lines(path)] if path.suffix == ".jsonl" else [read_run(path)]
    for each in found:
        if isinstance(each, str):
            raise StorageError(each)
    return [each.record for each in found if not isinstance(each, str)]


def _data_of(record: ResultRecord, data: str | None, folder: Path | None) -> Dataset:
    """The dataset to run a record on again; where nobody names it, it is said which one that is."""
    from adbench.cli.plugins import installed

    dataset = dataset_of(installed(), record, data, folder)
    if data is None:
        echo(f"images: {getattr(dataset, 'root', dataset.name)}", err=True)
    return dataset


def _verify(record: ResultRecord, dataset: Dataset, tolerance: float, device: str) -> bool:
    """Run one record again, print the comparison, and say whether it holds."""
    from adbench.engine.evaluate.reproduce import compare
    from adbench.engine.plan.derived import differences

    name = visible(record.recipe.name, 100)
    title = f"{name} on {visible(record.task.category, 100)}, seed {record.task.seed} ({record.id[:12]})"
    if record.status != "ok":
        raise UsageError(f"{title}: it ended as {record.status!r}; there is nothing to compare")
    after = _rerun(record, dataset, device)
    echo(f"{title}: run again on {after.provenance.device}, then on {record.provenance.device}")
    if after.status != "ok":
        echo(f"  {after.status}: {after.reason}")
        return False
    rows = list(compare(record, after, tolerance))
    for metric, was, now, agrees in rows:
        apart = "" if was is None or now is None else f"{now - was:+.6f}"
        echo(f"  {metric:16} {_figure(was):>9} {_figure(now):>9} {apart:>10}  {'agrees' if agrees else 'DIFFERS'}")
    others = list(differences(record, after))
    for what, said, found in others:
        echo(f"  {what}: {visible(said, 200)}, and {visible(found, 200)} here  DIFFERS")
    held = all(row.agrees for row in rows) and not others
    echo(f"  {'verified' if held else 'not reproduced'}, tolerance {tolerance:g}")
    return held


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.6f}"


def _rerun(record: ResultRecord, dataset: Dataset, device: str) -> ResultRecord:
    from adbench.cli.plugins import installed
    from adbench.engine.evaluate.reproduce import unit_of
    from adbench.engine.plan.settings import Settings
    from adbench.engine.run.runner import Runner

    registry = installed()
    unit = unit_of(record, dataset, registry)
    with tempfile.TemporaryDirectory(prefix="adbench-") as scratch:
        settings = Settings(
            Path(scratch),
            device=device,
            skip_bad=bool(record.task.skipped),
            figures=False,
            runtime=record.provenance.runtime,
        )
        outcome = Runner(registry, settings, note=lambda sentence: echo(f"  {sentence}", err=True)).run(unit)
    if outcome is None:
        raise StorageError("another process is at this unit")
    return outcome.record
