"""Folders of boards: the records on each board, new records, and those that count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adbench import StorageError
from adbench.boards.board import BOARD_FILE, Board, belongs, board_folder, default_board, describe, read_board
from adbench.boards.records.board_extras import DETAILS, PICTURES, BoardExtras, read_extras, upgrade
from adbench.boards.records.installed import BoardFacts, no_duplicates_search
from adbench.boards.records.line_files import line_files, packed_name
from adbench.boards.records.manifest import Manifest, read_manifest
from adbench.boards.records.merging import Merge, MergeNotes
from adbench.boards.records.records_io import FoundRecord, read_lines, read_run
from adbench.boards.tables.tidy import BoardData, tidy
from adbench.engine.store.record import ResultRecord, find_runs

RECORDS = "records"


@dataclass
class BuildReport:
    """The result of a build or a check.

    Attributes:
        boards: folders of all boards.
        news: sentences about what was created or replaced.
        problems: sentences about records that were left out and files that differ; empty if all is well.
    """

    boards: list[Path] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class BoardFiles:
    """The content of a board's folder.

    Attributes:
        found: the records on it.
        unread: lines that are no record of this board, by file name; a build keeps them, and reports them.
        extras: details and pictures of the records.
        manifest: hashes of the verified records.
    """

    folder: Path
    board: Board
    found: list[FoundRecord] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    extras: BoardExtras = field(default_factory=BoardExtras)
    manifest: Manifest = field(default_factory=Manifest)

    @property
    def records(self) -> list[ResultRecord]:
        """The records, without the places where they were found."""
        return [found.record for found in self.found]

    def settle(
        self, known: BoardFacts, notes: MergeNotes, *, replacing: bool = False, search_duplicates: bool = False
    ) -> None:
        """Choose the record that counts for each row and unit, and add verified records to the manifest.

        No line of the board is lost: one that does not count stays in its file.

        Args:
            known: facts of the installed adbench.
            notes: takes a sentence for each record that is changed or left out.
            replacing: whether new records are meant to take the place of others.
            search_duplicates: whether to search for duplicate images where no search was made. A command that only
                reads a board does not search, so that the board is the same on a computer without the data.
        """
        images = {place: images.samples_sha for place, images in self.manifest.images.items()}
        merged = Merge(images, known.versions, replacing, notes).merge(self.found)
        kept = {each.record.id: each for each in merged}
        for each in self.found:
            if each.stands and each.record.id not in notes.replaced and _is_left(each, kept.get(each.record.id)):
                self.unread[_file_of(each)].append(each.line)
        self.found = merged
        measured = [each for each in merged if each.measured]
        if replacing:
            self.manifest.drop_changed(each.record for each in measured if not each.stands)
        self.manifest.add(measured, known.duplicates if search_duplicates else no_duplicates_search)

    def settle_beside(self) -> None:
        """Add the details and pictures of its records to the manifest."""
        self.extras.images = {record.id: record.task.test for record in self.records}
        for kind, lines in ((DETAILS, self.extras.details), (PICTURES, self.extras.pictures)):
            self.manifest.add_lines(kind, lines)

    def tidy(self, known: BoardFacts) -> BoardData:
        """The data of the board's tables."""
        return tidy(self.board, self.records, self.manifest.truth(self.found, known.versions))


def _is_left(found: FoundRecord, kept: FoundRecord | None) -> bool:
    """Whether a line of the board neither counts nor was merged into the one that counts."""
    return kept is None or (kept.measured and not found.measured and kept.line != found.line)


def _file_of(found: FoundRecord) -> str:
    """The name of the file that holds a line after the next build."""
    return packed_name(Path(found.where.rpartition(":")[0]).name)


def read_boards(root: Path, outcome: BuildReport, known: BoardFacts) -> list[BoardFiles]:
    """All boards below a folder of leaderboards, with their records.

    Raises:
        StorageError: the folder is itself a board, or a board or a file of records cannot be read.
    """
    if (root / BOARD_FILE).is_file():
        raise StorageError(f"{root} is a single board; give the folder of leaderboards, two levels above it")
    return [read_board_files(folder, outcome, known) for folder in find_boards(root)]


def find_boards(path: Path) -> list[Path]:
    """Folders that hold a board: the path itself, or those two levels below it."""
    if (path / BOARD_FILE).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"*/*/{BOARD_FILE}"))


def read_board_files(folder: Path, outcome: BuildReport, known: BoardFacts) -> BoardFiles:
    """A board and its records; a line that is no record of this board becomes a problem, and stays in its file.

    Raises:
        StorageError: the board or a file of records cannot be read at all.
    """
    leaderboard = BoardFiles(folder, read_board(folder / BOARD_FILE), manifest=read_manifest(folder))
    for file in sorted(line_files(folder / RECORDS)):
        if not file.resolve().is_relative_to(folder.resolve()):
            outcome.problems.append(f"{file}: a link that leaves the board's folder; put the file itself there")
            continue
        for line, found in read_lines(file):
            against = found if isinstance(found, str) else _fault_on_board(found, leaderboard.board, known)
            if against or isinstance(found, str):
                leaderboard.unread[packed_name(file.name)].append(line)
                outcome.problems.append(against)
                continue
            measured = leaderboard.manifest.confirms(found)
            leaderboard.found.append(found if measured else replace(found, measured=False))
            if not measured and found.record.id in leaderboard.manifest.records:
                outcome.problems.append(f"{found.where}: not as it was when it came; unverified until it is restored")
    leaderboard.extras = read_extras(folder, leaderboard.manifest)
    upgrade(leaderboard.extras, (found.record for found in leaderboard.found))
    return leaderboard


def _fault_on_board(found: FoundRecord, board: Board, known: BoardFacts) -> str:
    """Why a line cannot count on a board; empty if it can."""
    if not belongs(found.record, board):
        return _misplaced(found)
    contradiction = known.contradiction(found.record)
    return contradiction and f"{found.where}: {contradiction}"


def _misplaced(found: FoundRecord) -> str:
    return f"{found.where}: not of this board: {describe(found.record)}"


def read_runs(runs: Sequence[Path], outcome: BuildReport, known: BoardFacts) -> Iterator[FoundRecord]:
    """The readable records of all runs, each with whether its raw scores are beside it; the others become problems.

    Raises:
        StorageError: a path is not there, or holds no run.
    """
    folders = {root: find_runs(root) for root in runs}
    empty = [str(root) for root, found in folders.items() if not found]
    if empty:
        raise StorageError(f"{', '.join(empty)}: holds no run; give the folder that 'adbench run' wrote to")
    for folder in (folder for found in folders.values() for folder in found):
        found = _with_checked_scores(read_run(folder), folder, outcome, known)
        if found is not None:
            yield found


def _with_checked_scores(
    found: FoundRecord | str, folder: Path, outcome: BuildReport, known: BoardFacts
) -> FoundRecord | None:
    if isinstance(found, str):
        outcome.problems.append(found)
        return None
    contradiction = known.contradiction(found.record)
    if contradiction:
        outcome.problems.append(f"{found.where}: {contradiction}")
        return None
    fault = known.check_scores(folder, found.record)
    if fault:
        outcome.news.append(f"warning: {found.where}: unverified, and listed apart: {fault}")
    return replace(found, measured=not fault)


def place(records: Iterable[FoundRecord], leaderboards: Sequence[BoardFiles]) -> list[FoundRecord]:
    """Put each record on every board that takes it; those that none takes are returned."""
    unplaced = []
    for found in records:
        takers = [leaderboard for leaderboard in leaderboards if belongs(found.record, leaderboard.board)]
        for leaderboard in takers:
            leaderboard.found.append(found)
        if not takers:
            unplaced.append(found)
    return unplaced


def new_boards(
    unplaced: Sequence[FoundRecord], leaderboards: Sequence[BoardFiles], root: Path, outcome: BuildReport
) -> list[BoardFiles]:
    """Boards for records that no board takes, unless another board has the place."""
    taken = {leaderboard.folder for leaderboard in leaderboards}
    new = []
    for leaderboard in default_boards(unplaced, root, outcome):
        path = leaderboard.folder / BOARD_FILE
        if leaderboard.folder in taken:
            outcome.problems += [
                f"{f.where}: refused by {path}, {describe(f.record)}; edit it" for f in leaderboard.found
            ]
        else:
            new.append(leaderboard)
            outcome.news.append(f"created {path}, since no board was there for {describe(leaderboard.found[0].record)}")
    return new


def default_boards(records: Iterable[FoundRecord], root: Path, outcome: BuildReport) -> list[BoardFiles]:
    """One board with default rules for each dataset and protocol; records that fit none become problems."""
    alike: dict[Path, list[FoundRecord]] = defaultdict(list)
    for found in records:
        try:
            alike[root / board_folder(default_board([found.record]))].append(found)
        except StorageError as error:
            outcome.problems.append(f"{found.where}: {error}")
    leaderboards = [
        BoardFiles(folder, default_board([each.record for each in found])) for folder, found in sorted(alike.items())
    ]
    for leaderboard in leaderboards:
        for found in alike[leaderboard.folder]:
            if belongs(found.record, leaderboard.board):
                leaderboard.found.append(found)
            else:
                outcome.problems.append(_misplaced(found))
    return leaderboards
