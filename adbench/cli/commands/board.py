"""``adbench board``: leaderboards from records, without torch."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adbench.cli.board_building import renderers, report
from adbench.cli.board_context import board_facts
from adbench.cli.commands.submit import submit_command
from adbench.cli.commands.verify import verify_command
from adbench.cli.forms import form_options, print_csv
from adbench.cli.options import places
from adbench.cli.screen import counted, echo, echo_json, say, screen, visible
from adbench.cli.text_table import Column, TextTable
from adbench.engine.plan.data_origin import Datasets, dataset_from
from adbench.errors import StorageError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console as RichConsole

    from adbench.api.report import Table
    from adbench.boards.records.board_extras import Gallery
    from adbench.boards.records.board_files import BoardFiles, BuildReport
    from adbench.boards.records.installed import BoardFacts
    from adbench.boards.records.pictures import DrawnPicture
    from adbench.boards.tables.tidy import BoardData
    from adbench.engine.store.record import ResultRecord

F = TypeVar("F", bound="Callable[..., Any]")

_INTERVAL = re.compile(r" \[[\d., ]+\]$")

_single_file_option = click.option(
    "--single-file",
    is_flag=True,
    help="Each page holds its scripts and styles (0.3 MB) and its photographs, so that it can be sent alone. Without"
    " this option, pages share the folder assets/.",
)


@click.group("board")
def command() -> None:
    """Build, show and check leaderboards; submit and verify records."""


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
    help="Show images of RUNS on the pages, even of data that must not be published: do not share such pages.",
)
@click.option(
    "--data",
    metavar="NAME|PATH",
    help="The dataset, if the record's name does not lead to it: for --pictures, and to find test images that are also"
    " training images if records do not list them.",
)
@click.option(
    "--replace",
    "replacing",
    is_flag=True,
    help="Replace records of the same method, category and seed by records of RUNS, and print each replacement.",
)
@_single_file_option
def build_command(
    runs: tuple[Path, ...], out: Path, pictures: bool, data: str | None, replacing: bool, single_file: bool
) -> int:
    """Put the records of RUNS on their boards, and write tables and pages again.

    A record that fits no board gets a new board with default rules, which you can edit. A record without its raw scores
    is listed separately, as unverified. Records on a board stay, except with --replace.
    """
    from dataclasses import replace

    from adbench.boards.publish import build

    printed = replace(
        renderers(single_file=single_file), gallery=_gallery(data, every=pictures), known=board_facts(data)
    )
    outcome = build(runs, out, printed, replacing=replacing)
    if not outcome.boards and not outcome.problems:
        raise StorageError(f"{out}: no board is there to build again; give a folder of runs, such as 'runs'")
    for folder in outcome.boards:
        echo(f"{folder}: written")
    return report(outcome)


@command.command("check")
@click.argument("root", type=click.Path(file_okay=False, path_type=Path), default=Path("leaderboards"))
@_single_file_option
def check_command(root: Path, single_file: bool) -> int:
    """Check that every generated file below ROOT follows from the records, byte for byte.

    Use --single-file for pages that were built with --single-file.
    """
    from adbench.boards.publish import check

    outcome = check(root, renderers(single_file=single_file))
    if not outcome.problems:
        echo(f"{root}: all files follow from the records; boards: {len(outcome.boards)}")
    return report(outcome)


@command.command("export")
@click.argument("found", metavar="PATH...", callback=places, nargs=-1, required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.csv or FILE.parquet.")
def export_command(found: tuple[Path, ...], out: Path) -> int:
    """Write the records in PATH as one tidy table: a row for each metric of a record.

    PATH is a folder of runs, leaderboards, a board, or a file of records. docs/records.md describes the columns.
    """
    from adbench.boards.records.read import read_records
    from adbench.boards.tables.frame import to_frame, write_frame

    frame = to_frame(read_records(*found))
    write_frame(frame, out)
    echo(f"{out}: {counted(len(frame), 'row')} of {counted(frame['record'].nunique(), 'record')}")
    return 0


_form_options = form_options(
    wide="Print every column in one table of any width, with the intervals.",
    json="Print JSON: a list of tables with columns, rows and notes.",
)


@command.command("show")
@click.argument("path", type=click.Path(path_type=Path), default=Path("leaderboards"))
@click.option("--metric", help="Show this metric for each category, instead of the standings.")
@_form_options
def show_command(path: Path, metric: str | None, form: str | None) -> int:
    """Show the boards below PATH: leaderboards, one board, or a folder of runs."""
    from adbench.boards.records.board_files import BuildReport

    outcome, known = BuildReport(), board_facts()
    boards = _boards_at(path, outcome, known)
    _show([table for board in boards for table in _tables(board.tidy(known), metric)], form)
    return report(outcome)


@command.command("overall")
@click.argument("root", type=click.Path(path_type=Path), default=Path("leaderboards"))
@_form_options
def overall_command(root: Path, form: str | None) -> int:
    """Show the methods that stand on several boards below ROOT: mean rank and mean figure over data sets.

    'adbench board build' writes the same tables to ROOT/overall.
    """
    from adbench.boards.records.board_files import BuildReport
    from adbench.boards.statistics.overall import overall
    from adbench.boards.tables.overall_tables import overall_tables

    outcome, known = BuildReport(), board_facts()
    boards = _boards_at(root, outcome, known)
    groups = overall([(board.folder.relative_to(root).as_posix(), board.tidy(known)) for board in boards])
    if not groups:
        raise StorageError(f"{root}: no two methods stand on the boards of two data sets with one protocol")
    _show(overall_tables(groups), form)
    return report(outcome)


def _show(tables: Sequence[Table], form: str | None) -> None:
    """Print tables, as `form` says: fitted to the window, or to 80 columns of a pipe, without one."""
    if form == "json":
        echo_json([asdict(table) for table in tables], indent=1)
    elif form == "csv":
        print_csv(tables)
    else:
        console = screen()
        for table in tables:
            _print(console, table, wide=form == "wide")


def _print(console: RichConsole, table: Table, *, wide: bool) -> None:
    """Print a table and its notes. Without `wide`, intervals are left out, and the notes say how to see them."""
    if not table.columns:
        say(console, (table.title, "bold"))
    else:
        lines, shortened = text_table(table, intervals=wide)
        lines.print_fitted(console, wide=wide)
        if shortened:
            say(console, ("Intervals are left out; --wide shows them.", "dim"))
    for note in table.notes:
        say(console, (note, "dim"))
    console.print()


def _boards_at(path: Path, outcome: BuildReport, known: BoardFacts) -> list[BoardFiles]:
    """The boards below a path.

    Raises:
        StorageError: there is neither a board nor a run.
    """
    from adbench.boards.records.board_files import default_boards, find_boards, read_board_files, read_runs
    from adbench.boards.records.merging import MergeNotes
    from adbench.engine.store.record import find_runs

    boards, notes = find_boards(path), MergeNotes()
    if not boards and not find_runs(path):
        raise StorageError(f"{path}: no board and no run; make one with 'adbench run', then 'adbench board build runs'")
    leaderboards = [read_board_files(board, outcome, known) for board in boards]
    if not boards:
        leaderboards = default_boards(read_runs([path], outcome, known), path, outcome)
    for leaderboard in leaderboards:
        leaderboard.settle(known, notes)
    outcome.news += notes.news
    outcome.problems += notes.refused
    return leaderboards


def _tables(data: BoardData, metric: str | None) -> list[Table]:
    """Tables of a board: heading and standings, or heading and one metric for each category.

    Raises:
        UnknownName: no record of the board has the metric.
    """
    from adbench.boards.tables.table import category_tables, heading, standings_tables

    board = data.board
    if metric is None:
        return [heading(board), *standings_tables(data)]
    known = {*board.metrics, *(name for record in data.records for name in record.metrics)}
    if metric not in known:
        raise UnknownName("metric", metric, known, f"on board {board.title!r}", see="adbench list metric")
    return [heading(board), *category_tables(data, metric)]


def text_table(table: Table, *, intervals: bool) -> tuple[TextTable, bool]:
    """A report's table for a window, the method first, and whether intervals in brackets were left out of it."""
    order = sorted(range(len(table.columns)), key=lambda place: table.columns[place] != "method")
    headings = [table.columns[place] for place in order]
    rows = [[row[place] for place in order] for row in table.rows]
    kept = rows if intervals else [[_INTERVAL.sub("", cell) for cell in row] for row in rows]
    columns = [Column(name.replace("-", "\n", 1), words=name == "method") for name in headings]
    return TextTable(table.title, columns, [list(map(visible, row)) for row in kept]), kept != rows


def _gallery(data: str | None, *, every: bool) -> Gallery:
    """The function that makes pictures of runs: on data that may be shown, or on all with `every`."""
    from adbench.cli.plugins import installed

    registry = installed()
    datasets, dataset_of = Datasets(registry, data), cache(lambda name: dataset_from(registry, data or name))

    def pictures(folder: Path, record: ResultRecord) -> Mapping[str, DrawnPicture]:
        from adbench.engine.pictures.gallery import gallery

        name = record.task.dataset
        if data is None and ("dataset", name) not in registry.components:
            return gallery(folder, record, datasets.of(folder, record)) if every else {}
        return gallery(folder, record, dataset_of(name)) if every or dataset_of(name).may_be_shown else {}

    return pictures
