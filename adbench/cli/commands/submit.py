"""``adbench board submit`` and ``verify``: submit checked records, and check other people's records."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.board_context import board_facts
from adbench.cli.options import FiniteRange, computing_option, places
from adbench.cli.screen import counted, echo, visible
from adbench.engine.plan.data_origin import dataset_of
from adbench.errors import StorageError, UsageError

if TYPE_CHECKING:
    from adbench.api.dataset import Dataset
    from adbench.boards.records.board_files import BoardFiles, BuildReport
    from adbench.boards.records.records_io import FoundRecord
    from adbench.engine.store.record import ResultRecord

TOLERANCE = 0.001
"""A tenth of a point, the last digit on boards: the effect of another device or number of threads."""
_data_option = click.option(
    "--data", metavar="NAME|PATH", help="The dataset, if neither the record's name nor the run's folder leads to it."
)


@click.command("submit")
@click.argument("runs", callback=places, nargs=-1, required=True)
@_data_option
@click.option("--method", metavar="NAME", help="The method, by its name or its key, if RUNS hold several.")
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
    help="Replace records of the same method, category and seed, and print each replacement.",
)
def submit_command(runs: tuple[Path, ...], data: str | None, method: str | None, out: Path, replacing: bool) -> int:
    """Check all records of one method in RUNS, and put them on the boards, ready for a pull request.

    The command checks schema, identity, regime, the raw scores' hash, counts, and all metrics and intervals from the
    raw scores. Every category and seed of the board must be there, and weights must be trained. The command writes
    only if all checks pass. Without raw scores or the dataset, a record is listed separately, as unverified, without a
    rank.
    """
    from dataclasses import replace

    from adbench.boards.publish import build
    from adbench.boards.records.board_files import BuildReport, read_runs
    from adbench.boards.records.submission import of_one_method
    from adbench.cli.board_building import renderers, report
    from adbench.cli.recheck import Recheck

    outcome, recheck = BuildReport(), Recheck(data)
    found = of_one_method(list(read_runs(runs, outcome, board_facts(data, lambda *_: ""))), method)
    _examine(found, out, outcome)
    unchecked = [recheck.check_scores(_folder(each), each.record) for each in found]
    outcome.problems += recheck.faults
    if outcome.problems:
        echo(f"nothing written: {counted(len(outcome.problems), 'problem')}", err=True)
        return report(outcome)
    printed = replace(renderers(), known=board_facts(data, recheck.check_scores))
    built = build([_folder(each) for each in found], out, printed, replacing=replacing)
    built.news[:0] = outcome.news
    name, checked = found[0].record.recipe.name, sum(not reason for reason in unchecked)
    echo(
        f"{counted(len(found), 'record')} of {visible(name, 100)!r} below {out}, {checked} of them checked against raw"
        " scores; commit that folder, and open a pull request"
    )
    return report(built)


def _folder(found: FoundRecord) -> Path:
    """The folder of the run of a record."""
    return cast("Path", found.folder)


def _examine(found: Sequence[FoundRecord], out: Path, outcome: BuildReport) -> None:
    """Compare the records with the rules of their boards."""
    from adbench.boards.board import belongs
    from adbench.boards.records.submission import review

    boardless = list(found)
    for leaderboard in _boards(out, outcome):
        taken = [each for each in found if belongs(each.record, leaderboard.board)]
        boardless = [each for each in boardless if each not in taken]
        if taken:
            reviewed = review(leaderboard.board, taken, _categories(leaderboard, taken))
            outcome.problems += reviewed.faults
            outcome.news += [f"warning: {sentence}" for sentence in reviewed.warnings]
    outcome.problems += [f"{each.where}: it fits no board below {out}" for each in boardless]


def _boards(out: Path, outcome: BuildReport) -> Iterator[BoardFiles]:
    from adbench.boards.records.board_files import find_boards, read_board_files

    return (read_board_files(folder, outcome, board_facts()) for folder in find_boards(out))


def _categories(leaderboard: BoardFiles, taken: Sequence[FoundRecord]) -> tuple[str, ...]:
    """The categories of a board, or else of all its records."""
    known = {each.record.task.category for each in (*leaderboard.found, *taken)}
    return tuple(sorted(known)) if leaderboard.board.categories is None else leaderboard.board.categories


@click.command("verify")
@click.argument("record", type=click.Path(exists=True, path_type=Path))
@_data_option
@click.option(
    "--id", "prefix", default="", metavar="ID", help="Only the records whose id begins with ID, in a file of many."
)
@click.option(
    "--tolerance",
    type=FiniteRange(0, 1),
    default=TOLERANCE,
    show_default=True,
    help="The largest allowed difference of a metric, as a fraction.",
)
@computing_option("--device", "Computing")
def verify_command(record: Path, data: str | None, prefix: str, tolerance: float, device: str) -> int:
    """Run the recipe of RECORD again, on its own task, and compare: exit code 1 if anything differs.

    The command compares every metric, regime, counts, images, weights and all other results. RECORD is a run's folder,
    a record.json, or a board's file of records. The command does not use the cache.
    """
    from adbench.engine.store.record import RECORD_FILE

    records = [each for each in _records(record) if prefix in ("", each.id[: len(prefix)])]
    if not records:
        raise UsageError(f"{record}: no record has an id that begins with {prefix!r}")
    folder = record if record.is_dir() else record.parent if record.name == RECORD_FILE else None
    agreed = [_verify(each, _data_of(each, data, folder), tolerance, device) for each in records]
    return 0 if all(agreed) else 1


def _records(path: Path) -> list[ResultRecord]:
    """The records of a file or folder; raises `StorageError` if one of them contradicts itself."""
    from adbench.boards.records.line_files import is_line_file
    from adbench.boards.records.records_io import read_lines, read_run

    found = [each for _, each in read_lines(path)] if is_line_file(path) else [read_run(path)]
    for each in found:
        if isinstance(each, str):
            raise StorageError(each)
    return [each.record for each in found if not isinstance(each, str)]


def _data_of(record: ResultRecord, data: str | None, folder: Path | None) -> Dataset:
    """The dataset for a record; without ``--data`` the command prints its place."""
    from adbench.cli.plugins import installed

    dataset = dataset_of(installed(), record, data, folder)
    if data is None:
        echo(f"images: {getattr(dataset, 'root', dataset.name)}", err=True)
    return dataset


def _verify(record: ResultRecord, dataset: Dataset, tolerance: float, device: str) -> bool:
    """Run one record again, print the comparison, and return whether the results agree."""
    from adbench.engine.evaluate.reproduce import compare
    from adbench.engine.plan.derived import differences

    name = visible(record.recipe.name, 100)
    title = f"{name} on {visible(record.task.category, 100)}, seed {record.task.seed} ({record.id[:12]})"
    if record.status != "ok":
        raise UsageError(f"{title}: it ended as {record.status!r}, so there is nothing to compare")
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
    for what, recorded, found in others:
        echo(f"  {what}: {visible(recorded, 200)}, but {visible(found, 200)} here  DIFFERS")
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
        raise StorageError("another process is running this unit")
    return outcome.record
