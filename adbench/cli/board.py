"""``adbench board``: leaderboards from records; no torch."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from adbench.cli.options import dataset_from, places
from adbench.cli.submit import submit_command, verify_command
from adbench.errors import StorageError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table as RichTable

    from adbench.api.report import Report, Table
    from adbench.boards.annex import Gallery
    from adbench.boards.publish import Outcome, Press, Shelf
    from adbench.engine.record import ResultRecord

_WIDTH = 160
"""Of tables that do not go to a terminal."""


@click.group("board")
def command() -> None:
    """Build, show and check leaderboards; hand in and verify records."""


command.add_command(submit_command)
command.add_command(verify_command)


@command.command("build")
@click.argument("runs", callback=places, nargs=-1)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("leaderboards"),
    show_default=True,
    help="The leaderboards' folder.",
)
@click.option(
    "--pictures",
    is_flag=True,
    help="Show images of RUNS on the pages, also of data that must not be published: keep such pages to yourself.",
)
@click.option("--data", metavar="NAME|PATH", help="The dataset for --pictures, where the record's name is not enough.")
def build_command(runs: tuple[Path, ...], out: Path, pictures: bool, data: str | None) -> int:
    """Put the records of RUNS on their boards, and write tables and pages anew.

    A record that no board takes gets a new board with default rules, to be edited by hand.
    """
    from dataclasses import replace

    from adbench.boards.publish import build

    outcome = build(runs, out, replace(press(), gallery=_gallery(data, every=pictures)))
    for folder in outcome.boards:
        click.echo(f"{folder}: written")
    return report(outcome)


@command.command("check")
@click.argument("root", type=click.Path(file_okay=False, path_type=Path), default=Path("leaderboards"))
def check_command(root: Path) -> int:
    """Check that every generated file below ROOT is what the records say, byte for byte."""
    from adbench.boards.publish import check

    outcome = check(root, press())
    if not outcome.problems:
        click.echo(f"{root}: all as the records say; boards: {len(outcome.boards)}")
    return report(outcome)


@command.command("show")
@click.argument("path", type=click.Path(path_type=Path), default=Path("leaderboards"))
@click.option("--metric", help="Show this metric by category, instead of the standings.")
def show_command(path: Path, metric: str | None) -> int:
    """Show the boards below PATH: leaderboards, one board, or a folder of runs."""
    from rich.console import Console

    from adbench.boards.publish import Outcome

    outcome = Outcome()
    shelves = _shelves(path, outcome)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for shelf in shelves:
        for table in _tables(shelf, metric):
            console.print(_drawn(table))
            for note in table.notes:
                console.print(note, markup=False, style="dim", soft_wrap=True)
            console.print()
    return report(outcome)


def _shelves(path: Path, outcome: Outcome) -> list[Shelf]:
    """The boards to show.

    Raises:
        StorageError: there is nothing to show.
    """
    from adbench.boards.publish import default_shelves, find_boards, read_runs, read_shelf
    from adbench.boards.shelf import merge

    boards = find_boards(path)
    shelves = [read_shelf(board, outcome) for board in boards]
    if not boards:
        shelves = default_shelves(read_runs([path], outcome), path, outcome)
    if not shelves and not outcome.problems:
        raise StorageError(f"{path}: no board and no run; make one with 'adbench run', then 'adbench board build runs'")
    for shelf in shelves:
        shelf.found = merge(shelf.found, outcome.news)
    return shelves


def _tables(shelf: Shelf, metric: str | None) -> list[Table]:
    """Heading and standings, or heading and one metric by category.

    Raises:
        UnknownName: no record of the board has the metric.
    """
    from adbench.boards.table import category_tables, heading, standings_tables

    records = [found.record for found in shelf.found]
    if metric is None:
        return [heading(shelf.board), *standings_tables(shelf.board, records)]
    known = {*shelf.board.metrics, *(name for record in records for name in record.metrics)}
    if metric not in known:
        raise UnknownName("metric", metric, known, f"on board {shelf.board.title!r}")
    return [heading(shelf.board), *category_tables(shelf.board, records, metric)]


def _drawn(table: Table) -> RichTable | str:
    """A table for the terminal; text is shown as it is, never as markup."""
    from rich.markup import escape
    from rich.table import Table as RichTable
    from rich.text import Text

    if not table.columns:
        return f"[bold]{escape(table.title)}[/]"
    drawn = RichTable(title=Text(table.title), title_justify="left")
    for column in table.columns:
        drawn.add_column(Text(column.replace("-", "\n", 1)), justify="left" if column == "method" else "right")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _gallery(data: str | None, *, every: bool) -> Gallery:
    """Makes pictures of runs on data that may be shown, or on `every`."""
    from adbench.registry import installed

    registry = installed()
    dataset_of = cache(lambda name: dataset_from(registry, data or name))

    def pictures(folder: Path, record: ResultRecord) -> Mapping[str, str]:
        from adbench.engine.gallery import gallery

        name = record.task.dataset
        if data is None and ("dataset", name) not in registry.components:
            if every:
                raise StorageError(f"{folder}: made on the folder {name!r}; say where it is with --data PATH")
            return {}
        return gallery(folder, record, dataset_of(name)) if every or dataset_of(name).may_be_shown else {}

    return pictures


def press() -> Press:
    """The reports that print boards."""
    from adbench.boards.publish import Press
    from adbench.registry import installed

    markdown, table = (cast("Report", installed().get("report", name).cls()) for name in ("markdown", "csv"))
    return Press(markdown=markdown, csv=table)


def report(outcome: Outcome) -> int:
    """Say what was found; the exit code."""
    for line in outcome.news:
        click.echo(line, err=True)
    for line in outcome.problems:
        click.echo(f"error: {line}", err=True)
    return 1 if outcome.problems else 0
