"""Boards' folders as they are read: which records stand on a board, which are new, and which count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adbench import StorageError
from adbench.boards.board import BOARD_FILE, Board, belongs, board_folder, default_board, describe, read_board
from adbench.boards.records.board_extras import DETAILS, PICTURES, BoardExtras, read_extras, upgrade
from adbench.boards.records.installed import Known, nobody_looks
from adbench.boards.records.manifest import Manifest, read_manifest
from adbench.boards.records.merging import Merge, MergeNotes
from adbench.boards.records.records_io import FoundRecord, read_lines, read_run
from adbench.boards.tables.tidy import BoardData, tidy
from adbench.engine.store.record import ResultRecord, find_runs

RECORDS = "records"


@dataclass
class BuildReport:
    """What a build or a check came to.

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
    """A board's folder, read.

    Attributes:
        found: the records on it.
        unread: lines that are no record of this board, by file name; they are kept as they are, and named.
        extras: what lies beside the records.
        manifest: what the board vouches for.
    """

    folder: Path
    board: Board
    found: list[FoundRecord] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    extras: BoardExtras = field(default_factory=BoardExtras)
    manifest: Manifest = field(default_factory=Manifest)

    @property
    def records(self) -> list[ResultRecord]:
        """The records alone."""
        return [found.record for found in self.found]

    def settle(self, known: Known, said: MergeNotes, *, replacing: bool = False, looking: bool = False) -> None:
        """Decide which record counts for each row and unit, and take into the manifest what was measured.

        No line of the board is lost: one that does not count stays in its file.

        Args:
            known: what the adbench that is installed knows.
            said: takes a sentence for everything that is not as it was given.
            replacing: whether new records are meant to take the place of others.
            looking: whether to look for duplicates where nobody has. Whoever only reads a board does not, so that a
                board is the same wherever its data is.
        """
        images = {place: images.samples_sha for place, images in self.manifest.images.items()}
        merged = Merge(images, known.versions, replacing, said).merge(self.found)
        kept = {each.record.id: each for each in merged}
        for each in self.found:
            if each.stands and each.record.id not in said.replaced and _is_left(each, kept.get(each.record.id)):
                self.unread[_file_of(each)].append(each.line)
        self.found = merged
        measured = [each for each in merged if each.measured]
        if replacing:
            self.manifest.forget(each.record for each in measured if not each.stands)
        self.manifest.learn(measured, known.duplicates if looking else nobody_looks)

    def settle_beside(self) -> None:
        """Take into the manifest what lies beside its records now."""
        self.extras.images = {record.id: record.task.test for record in self.records}
        for kind, lines in ((DETAILS, self.extras.details), (PICTURES, self.extras.pictures)):
            self.manifest.learn_beside(kind, lines)

    def tidy(self, known: Known) -> BoardData:
        """All that the board's tables are made of."""
        return tidy(self.board, self.records, self.manifest.truth(self.found, known.versions))


def _is_left(found: FoundRecord, kept: FoundRecord | None) -> bool:
    """Whether a line of the board is neither the one that counts nor what that was merged from."""
    return kept is None or (kept.measured and not found.measured and kept.line != found.line)


def _file_of(found: FoundRecord) -> str:
    """The name of the file that a line stands in."""
    return Path(found.where.rpartition(":")[0]).name


def shelves_below(root: Path, outcome: BuildReport, known: Known) -> list[BoardFiles]:
    if (root / BOARD_FILE).is_file():
        raise StorageError(f"{root} is a single board; give the folder of leaderboards, two levels above it")
    return [read_shelf(folder, outcome, known) for folder in find_boards(root)]


def find_boards(path: Path) -> list[Path]:
    """Folders that hold a board: the path itself, or those two levels below it."""
    if (path / BOARD_FILE).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"*/*/{BOARD_FILE}"))


def read_shelf(folder: Path, outcome: BuildReport, known: Known) -> BoardFiles:
    """A board and its records; lines that are no record of it become problems, and stay where they are.

    Raises:
        StorageError: the board or a file of records cannot be read at all.
    """
    shelf = BoardFiles(folder, read_board(folder / BOARD_FILE), manifest=read_manifest(folder))
    for file in sorted((folder / RECORDS).glob("*.jsonl")):
        if not file.resolve().is_relative_to(folder.resolve()):
            outcome.problems.append(f"{file}: a link that leaves the board's folder; put the file itself there")
            continue
        for line, found in read_lines(file):
            against = found if isinstance(found, str) else _against(found, shelf.board, known)
            if against or isinstance(found, str):
                shelf.unread[file.name].append(line)
                outcome.problems.append(against)
                continue
            measured = shelf.manifest.vouches(found)
            shelf.found.append(replace(found, measured=measured))
            if not measured and found.record.id in shelf.manifest.records:
                outcome.problems.append(f"{found.where}: not as it was when it came; unverified until it is restored")
    shelf.extras = read_extras(folder, shelf.manifest)
    upgrade(shelf.extras, (found.record for found in shelf.found))
    return shelf


def _against(found: FoundRecord, board: Board, known: Known) -> str:
    """Why a line cannot count on a board; empty if it can."""
    if not belongs(found.record, board):
        return _misplaced(found)
    contradiction = known.contradiction(found.record)
    return contradiction and f"{found.where}: {contradiction}"


def _misplaced(found: FoundRecord) -> str:
    return f"{found.where}: not of this board: {describe(found.record)}"


def read_runs(runs: Sequence[Path], outcome: BuildReport, known: Known) -> Iterator[FoundRecord]:
    """The readable records of all runs, each with whether its raw scores are beside it; the others become problems.

    Raises:
        StorageError: a path is not there, or holds no run.
    """
    folders = {root: find_runs(root) for root in runs}
    empty = [str(root) for root, found in folders.items() if not found]
    if empty:
        raise StorageError(f"{', '.join(empty)}: holds no run; give the folder that 'adbench run' wrote to")
    for folder in (folder for found in folders.values() for folder in found):
        found = _witnessed(read_run(folder), folder, outcome, known)
        if found is not None:
            yield found


def _witnessed(found: FoundRecord | str, folder: Path, outcome: BuildReport, known: Known) -> FoundRecord | None:
    if isinstance(found, str):
        outcome.problems.append(found)
        return None
    contradiction = known.contradiction(found.record)
    if contradiction:
        outcome.problems.append(f"{found.where}: {contradiction}")
        return None
    unseen = known.witness(folder, found.record)
    if unseen:
        outcome.news.append(f"warning: {found.where}: unverified, and listed apart: {unseen}")
    return replace(found, measured=not unseen)


def place(records: Iterable[FoundRecord], shelves: Sequence[BoardFiles]) -> list[FoundRecord]:
    """Put each record on every board that takes it; those that none takes are returned."""
    homeless = []
    for found in records:
        takers = [shelf for shelf in shelves if belongs(found.record, shelf.board)]
        for shelf in takers:
            shelf.found.append(found)
        if not takers:
            homeless.append(found)
    return homeless


def new_shelves(
    homeless: Sequence[FoundRecord], shelves: Sequence[BoardFiles], root: Path, outcome: BuildReport
) -> list[BoardFiles]:
    """Boards for records that no board takes, unless another board has the place."""
    taken = {shelf.folder for shelf in shelves}
    new = []
    for shelf in default_shelves(homeless, root, outcome):
        path = shelf.folder / BOARD_FILE
        if shelf.folder in taken:
            outcome.problems += [f"{f.where}: refused by {path}, {describe(f.record)}; edit it" for f in shelf.found]
        else:
            new.append(shelf)
            outcome.news.append(f"created {path}, since no board was there for {describe(shelf.found[0].record)}")
    return new


def default_shelves(records: Iterable[FoundRecord], root: Path, outcome: BuildReport) -> list[BoardFiles]:
    """One board with default rules for each dataset and protocol; records that fit none become problems."""
    alike: dict[Path, list[FoundRecord]] = defaultdict(list)
    for found in records:
        try:
            alike[root / board_folder(default_board([found.record]))].append(found)
        except StorageError as error:
            outcome.problems.append(f"{found.where}: {error}")
    shelves = [
        BoardFiles(folder, default_board([each.record for each in found])) for folder, found in sorted(alike.items())
    ]
    for shelf in shelves:
        for found in alike[shelf.folder]:
            if belongs(found.record, shelf.board):
                shelf.found.append(found)
            else:
                outcome.problems.append(_misplaced(found))
    return shelves
