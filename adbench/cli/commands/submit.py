"""``adbench board submit``: check the records of a method, and put them on the boards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.board_context import board_facts
from adbench.cli.options import places
from adbench.cli.screen import counted, echo, visible

if TYPE_CHECKING:
    from adbench.boards.records.board_files import BoardFiles, BuildReport
    from adbench.boards.records.records_io import FoundRecord

data_option = click.option(
    "--data", metavar="NAME|PATH", help="The dataset, if neither the record's name nor the run's folder leads to it."
)


@click.command("submit")
@click.argument("runs", callback=places, nargs=-1, required=True)
@data_option
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
