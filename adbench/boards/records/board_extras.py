"""Details of single images and pictures beside a board's records. A file a method, a line a record.

A board shows few of them, so a line is read as text, and checked when its method has a place on the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from adbench import AdbenchError, StorageError
from adbench.api.untrusted import is_there
from adbench.boards.records.corners import thinned
from adbench.boards.records.keys import row_key
from adbench.boards.records.line_files import PACKED, line_files, read_line_file
from adbench.boards.records.manifest import Manifest
from adbench.boards.records.pictures import (
    DrawnPicture,
    LayeredPicture,
    Pictures,
    layered,
    photograph_names,
    read_photographs,
)
from adbench.boards.records.records_io import FoundRecord
from adbench.engine.evaluate.details import DETAILS_FILE, Details, parse_details, read_details
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.images.corruption_report import CorruptionReport
from adbench.engine.images.drift_report import DriftReport
from adbench.engine.store.class_report import ClassReport
from adbench.engine.store.record import ResultRecord, canonical_json

DETAILS, PICTURES = "details", "pictures"
MAX_IMAGES = 20_000
"""Of one unit, whose details a page may show."""
LEAST = 0.0005
"""The distance from a curve within which no page shows a corner."""
MAX_KINDS = 200
MAX_NUMBER = 1e30
_REPORT, _DRIFTS, _CLASSES = '"corruptions":{', '"drifts":[', '"classes":{'
"""Parts of each line with a report; another line may have them in a name, and is parsed for nothing."""
_THRESHOLD = ',"threshold":'
"""The last key of a line of details, which no text in canonical JSON holds: its quotes would be escaped."""
_ID = re.compile(r'"id":"([0-9a-f]{64})"')
"""Keys of a line are sorted, so that the first of this form is the line's own."""

Part = TypeVar("Part")

Gallery: TypeAlias = Callable[[Path, ResultRecord], Mapping[str, DrawnPicture]]
"""Makes pictures of a run's folder, by image; none where its images may not be shown."""


@dataclass
class BoardExtras:
    """Lines by the id of the record that they belong to.

    Attributes:
        details: of single images.
        pictures: of the images that a method got most wrong.
        problems: sentences about lines that turned out to be none.
        images: how many test images a record has.
        photographs: of test images, which pictures refer to, by file name.
    """

    details: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    photographs: dict[str, bytes] = field(default_factory=dict)
    _parsed: dict[str, Details | None] = field(default_factory=dict)

    def details_of(self, record_id: str) -> Details | None:
        """The details of a record; None where there are none, or none that are well-formed."""
        if record_id in self.details and record_id not in self._parsed:
            self._parsed[record_id] = self._parse(self.details[record_id], record_id)
        return self._parsed.get(record_id)

    def _parse(self, line: str, record_id: str) -> Details | None:
        try:
            details = parse_details(line, f"details of record {record_id[:12]}")
        except StorageError as error:
            self.problems.append(str(error))
            return None
        fault = "of another record" if details.id != record_id else unshowable(details, self.images.get(record_id))
        if fault:
            self.problems.append(f"details of record {record_id[:12]}: {fault}; its row goes without")
        return None if fault else details

    def thresholds(self) -> dict[str, Threshold]:
        """The threshold at the end of each line of details that has one; nothing else of the line is read."""
        found = {}
        for record_id, line in self.details.items():
            _, key, value = line.rpartition(_THRESHOLD)
            if key and value != "null}":
                try:
                    found[record_id] = Threshold.model_validate_json(value[:-1])
                except ValidationError as error:
                    message = error.errors()[0]["msg"]
                    self.problems.append(f"details of record {record_id[:12]}: no threshold: {message}")
        return found

    def reports(self) -> dict[str, CorruptionReport]:
        """The report of corrupted test images in each line of details that has one."""
        one = TypeAdapter(CorruptionReport)
        return self._parts(_REPORT, "corruptions", one, "its report of corrupted images is none")

    def drifts(self) -> dict[str, list[DriftReport]]:
        """The reports of slowly changing test images in each line of details that has some."""
        several = TypeAdapter(Annotated[list[DriftReport], Field(max_length=50)])
        return self._parts(_DRIFTS, "drifts", several, "its reports of drifting images are none")

    def classes(self) -> dict[str, ClassReport]:
        """The report of named types of defects in each line of details that has one."""
        return self._parts(_CLASSES, "classes", TypeAdapter(ClassReport), "its report of classes is none")

    def _parts(self, mark: str, key: str, kind: TypeAdapter[Part], fault: str) -> dict[str, Part]:
        """The value of a key in each line of details that has it."""
        found = {}
        for record_id, line in self.details.items():
            if mark in line:
                try:
                    value = json.loads(line).get(key)
                    if value is not None:
                        found[record_id] = kind.validate_python(value)
                except (ValidationError, ValueError, RecursionError, AttributeError):
                    self.problems.append(f"details of record {record_id[:12]}: {fault}")
        return found

    def pictures_of(self, record_id: str) -> Mapping[str, LayeredPicture | str]:
        """Pictures by image; none where there are none, or none that are well-formed."""
        line = self.pictures.get(record_id)
        if line is None:
            return {}
        try:
            found = Pictures.model_validate_json(line)
        except ValidationError as error:
            self.problems.append(f"pictures of record {record_id[:12]}: {error.errors()[0]['msg']}")
            return {}
        if found.id != record_id:
            return {}
        if fault := found.fault(self.photographs):
            self.problems.append(f"pictures of record {record_id[:12]}: {fault}")
            return {}
        return found.pictures


def unshowable(details: Details, images: int | None) -> str:
    """Reason why a page cannot show details that fit their schema; empty if it can.

    Args:
        details: of a record.
        images: how many test images the record has, if that is known.
    """
    count, numbers = len(details.images), [image.score for image in details.images]
    numbers += [value for point in details.embedding or () for value in point]
    kinds = details.by_defect.values()
    if not 0 < count <= MAX_IMAGES or count != (count if images is None else images):
        return f"they are of {count} images" + ("" if images is None else f", the record is of {images}")
    if len(kinds) > MAX_KINDS or any(len(values) > MAX_KINDS for values in kinds):
        return f"they have more than {MAX_KINDS} kinds of defect, or metrics of one"
    if any(value is not None and not 0 <= value <= 1 for values in kinds for value in values.values()):
        return "a metric of a kind of defect is not between 0 and 1"
    if any(abs(value) > MAX_NUMBER for value in numbers):
        return f"a score or a point is beyond {MAX_NUMBER:g}"
    return ""


def read_extras(folder: Path, manifest: Manifest) -> BoardExtras:
    """Details and pictures in a board's folder; a line that has no id, or was changed, becomes a problem.

    Raises:
        StorageError: a file cannot be read, or is far too large.
    """
    extras = BoardExtras()
    extras.photographs = read_photographs(folder / PICTURES, extras.problems)
    for name, lines in ((DETAILS, extras.details), (PICTURES, extras.pictures)):
        for file in sorted(line_files(folder / name)):
            for number, line in enumerate(_lines(file, folder), start=1):
                found = _ID.search(line)
                fault = _fault(name, line, found and found[1], lines, manifest)
                if fault:
                    extras.problems.append(f"{file}:{number}: {fault}")
                elif found:
                    lines[found[1]] = line
    return extras


def _fault(kind: str, line: str, record_id: str | None, lines: Mapping[str, str], manifest: Manifest) -> str:
    """Reason why a line does not belong to a record; empty if it does."""
    if record_id is None:
        return "belongs to no record; run 'adbench board build'"
    if not manifest.confirms_line(kind, record_id, line):
        return f"not what came with record {record_id[:12]}; run 'adbench board build', which leaves it out"
    twice = lines.get(record_id, line) != line
    return f"another line belongs to record {record_id[:12]} already; remove one of them" if twice else ""


def upgrade(extras: BoardExtras, records: Iterable[ResultRecord]) -> None:
    """Give details and pictures of records with an older schema the ids that these records have today."""
    for record in records:
        for lines in (extras.details, extras.pictures):
            line = lines.pop(record.former_id, None)
            if line is not None:
                lines.setdefault(record.id, _ID.sub(f'"id":"{record.id}"', line, count=1))


def _lines(file: Path, folder: Path) -> list[str]:
    return read_line_file(file, "a board's details or pictures", folder).split("\n")[:-1]


def attach(
    extras: BoardExtras, on_board: Iterable[FoundRecord], runs: Iterable[FoundRecord], gallery: Gallery | None
) -> None:
    """Copy details and pictures from the folders of runs whose records are on a board.

    Args:
        extras: takes it; what cannot be used becomes one of its problems.
        on_board: the board's records. What lies beside one that is measured is taken from measured runs only.
        runs: where records were found.
        gallery: makes the pictures that are missing, of the seed that a page shows.
    """
    kept = {found.record.id: found for found in on_board}
    pictured = _first_seeds([found.record for found in kept.values()])
    for run in runs:
        own = kept.get(run.record.id)
        if own is None or run.folder is None or (own.measured and not run.measured):
            continue
        record = own.record
        try:
            _take_details(extras, run.folder, run.record)
            if gallery and record.id in pictured - extras.pictures.keys():
                _take_pictures(extras, record.id, gallery(run.folder, record))
        except AdbenchError as error:
            extras.problems.append(str(error))
    _drop_what_no_page_shows(extras, [found.record for found in kept.values()])


def _drop_what_no_page_shows(extras: BoardExtras, records: Iterable[ResultRecord]) -> None:
    """Drop curves and embeddings of all seeds but the first that has details, and its corners that nobody sees."""
    detailed = [record for record in records if record.id in extras.details]
    shown = _first_seeds(detailed)
    for record_id in {record.id for record in detailed} - shown:
        extras.details[record_id] = _without_drawings(extras.details[record_id])
    for record_id in shown:
        extras.details[record_id] = _with_thin_curves(extras.details[record_id])


def _without_drawings(line: str) -> str:
    """A line of details without curves and embedding; a line that is no JSON as it is."""
    if '"embedding":null' in line and '"curves":{"pro":[],"roc":[]}' in line:
        return line
    try:
        data = json.loads(line)
        return canonical_json({**data, "curves": {"pro": [], "roc": []}, "embedding": None})
    except (ValueError, TypeError, RecursionError):
        return line


def _with_thin_curves(line: str) -> str:
    """A line of details whose curves have the corners that their shape needs; a line that is no details as it is."""
    try:
        data = json.loads(line)
        curves = {name: thinned([(x, y) for x, y in curve], LEAST) for name, curve in data["curves"].items()}
        return canonical_json({**data, "curves": curves})
    except (ValueError, TypeError, RecursionError, KeyError, AttributeError):
        return line


def _first_seeds(records: Iterable[ResultRecord]) -> set[str]:
    """The finished record with the lowest seed, of each method and category."""
    first: dict[tuple[tuple[str, int], str], ResultRecord] = {}
    for record in sorted(records, key=lambda record: (record.task.seed, record.id)):
        if record.status == "ok":
            first.setdefault((row_key(record), record.task.category), record)
    return {record.id for record in first.values()}


def _take_details(extras: BoardExtras, folder: Path, record: ResultRecord) -> None:
    if not is_there(folder / DETAILS_FILE):
        return
    details = read_details(folder)
    if details.id in (record.id, record.former_id):
        extras.details[record.id] = canonical_json({**details.to_json(), "id": record.id})
    else:
        extras.problems.append(f"{folder / DETAILS_FILE}: of another run; make it anew with 'adbench evaluate'")


def _take_pictures(extras: BoardExtras, record_id: str, pictures: Mapping[str, DrawnPicture]) -> None:
    if pictures:
        layers = {image: layered(drawn, extras.photographs) for image, drawn in pictures.items()}
        extras.pictures[record_id] = Pictures(id=record_id, pictures=layers).to_line()


def files_of_extras(
    extras: BoardExtras, folder: Path, methods: Mapping[str, Iterable[ResultRecord]]
) -> dict[Path, bytes]:
    """The content of every file beside the records, before it is compressed.

    Args:
        extras: what there is.
        folder: of the board.
        methods: a method's records in their order, by the stem of its file's name.
    """
    files: dict[Path, bytes] = {}
    for name, records in methods.items():
        ids = [record.id for record in records]
        for kind, lines in ((DETAILS, extras.details), (PICTURES, extras.pictures)):
            kept = [lines[record_id] for record_id in ids if record_id in lines]
            files |= _photograph_files(extras, folder, kept) if kind == PICTURES else {}
            if kept:
                files[folder / kind / f"{name}{PACKED}"] = "".join(f"{line}\n" for line in kept).encode()
    return files


def _photograph_files(extras: BoardExtras, folder: Path, lines: Iterable[str]) -> dict[Path, bytes]:
    names = set().union(*map(photograph_names, lines)) & extras.photographs.keys()
    return {folder / PICTURES / name: extras.photographs[name] for name in sorted(names)}
