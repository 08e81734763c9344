"""The manifest of a board: images of each unit, and records whose figures were verified to follow from raw scores.

The file `manifest.json` beside the board is written by `adbench board build` and `submit` alone, and decides
where records disagree. A line that somebody adds to a file of records is not in it, and is listed as unverified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adbench import StorageError
from adbench.api.untrusted import is_there, parse_json, read_plain
from adbench.boards.records.keys import Place, UnitKey, most_common_images, place_of
from adbench.boards.records.records_io import FoundRecord
from adbench.boards.tables.tidy import BoardTruth
from adbench.engine.store.record import ResultRecord, canonical_json

MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 64 << 20

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Images(BaseModel):
    """The images of one category, seed and number of shots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: str
    shots: int = Field(ge=0, description="0 for all normal images")
    seed: int
    samples_sha: str = Field(max_length=64)
    duplicates: tuple[str, ...] | None = Field(None, description="test images that are training images too")

    @property
    def place(self) -> Place:
        """Shots and unit."""
        return self.shots, UnitKey(self.category, self.seed)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: int = Field(1, alias="schema", ge=1, le=1)
    images: list[Images]
    records: dict[_Hash, _Hash]
    details: dict[_Hash, _Hash] = Field(default_factory=dict)
    pictures: dict[_Hash, _Hash] = Field(default_factory=dict)


@dataclass
class Manifest:
    """Verified records of a board, and the images of its units.

    Attributes:
        images: by shots and unit.
        records: id to sha256 of the line of each record whose raw scores were verified.
        beside: by kind, id to sha256 of the line that came with such a record.
        there: whether there was a file; boards of earlier versions have none.
    """

    images: dict[Place, Images] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    beside: dict[str, dict[str, str]] = field(default_factory=dict)
    there: bool = False

    def confirms(self, found: FoundRecord) -> bool:
        """Whether a record on the board is as it was when its raw scores were verified.

        Records on a board without a manifest were checked when they were added; the next build writes its manifest.
        """
        record = found.record
        if not self.there:
            return record.status != "ok" or record.predictions is not None
        return record.id in self.records and self.records[record.id] == _sha256(found.line)

    def confirms_line(self, kind: str, record_id: str, line: str) -> bool:
        """Whether a line beside a record was added with it; True for any line of an unverified record."""
        if not self.there or record_id not in self.records:
            return True
        return self.beside.get(kind, {}).get(record_id) == _sha256(line)

    def add_lines(self, kind: str, lines: Mapping[str, str]) -> None:
        """Add the details or pictures of verified records.

        Args:
            kind: "details" or "pictures".
            lines: by the id of the record.
        """
        self.beside[kind] = {key: _sha256(line) for key, line in lines.items() if key in self.records}

    def add(self, measured: Sequence[FoundRecord], duplicates: Callable[[ResultRecord], Sequence[str] | None]) -> None:
        """Add verified records, and the images of units that are new.

        Args:
            measured: all verified records of the board.
            duplicates: finds test images that are training images too, where a record does not say.
        """
        self.there, self.records = True, {found.record.id: _sha256(found.line) for found in measured}
        done = [found.record for found in measured if found.record.status == "ok"]
        for place, sha in most_common_images(done).items():
            self.images.setdefault(place, images_of(place, sha))
        for record in done:
            self._add_duplicates(record, duplicates)

    def drop_changed(self, records: Iterable[ResultRecord]) -> None:
        """Drop the images of units of which there are records on other images now."""
        for record in records:
            known = self.images.get(place_of(record))
            if known is not None and record.status == "ok" and known.samples_sha != record.task.samples_sha:
                self.images[known.place] = images_of(known.place, record.task.samples_sha)

    def _add_duplicates(self, record: ResultRecord, duplicates: Callable[[ResultRecord], Sequence[str] | None]) -> None:
        known = self.images[place_of(record)]
        if known.duplicates is None and known.samples_sha == record.task.samples_sha:
            found = record.task.duplicates if record.task.duplicates is not None else duplicates(record)
            if found is not None:
                self.images[known.place] = known.model_copy(update={"duplicates": tuple(sorted(found))})

    def truth(self, found: Iterable[FoundRecord], versions: Mapping[str, int]) -> BoardTruth:
        """The facts that decide on a board.

        Args:
            found: all records that stand on it.
            versions: of the metrics that are installed.
        """
        return BoardTruth(
            unverified=frozenset(each.record.id for each in found if not each.measured),
            images={place: images.samples_sha for place, images in self.images.items()},
            duplicates={p: images.duplicates for p, images in self.images.items() if images.duplicates is not None},
            versions=versions,
        )

    def to_text(self) -> str:
        """JSON with a line for each item, so that a new record changes few of them."""
        images = [canonical_json(self.images[place].model_dump()) for place in sorted(self.images)]
        hashes = {"records": self.records, **{kind: self.beside[kind] for kind in sorted(self.beside)}}
        listed = [
            f'"{kind}":{{{_lines(_items(known))}}}' for kind, known in hashes.items() if known or kind == "records"
        ]
        return ",\n".join(['{"schema":1', f'"images":[{_lines(images)}]', *listed]) + "}\n"


def _items(known: Mapping[str, str]) -> list[str]:
    return [f"{canonical_json(key)}:{canonical_json(known[key])}" for key in sorted(known)]


def _lines(items: Sequence[str]) -> str:
    return "\n" + ",\n".join(items) + "\n" if items else ""


def images_of(place: Place, samples_sha: str) -> Images:
    """Images of a unit whose duplicates are not known yet."""
    shots, unit = place
    return Images(category=unit.category, shots=shots, seed=unit.seed, samples_sha=samples_sha)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a board's folder; an empty one where there is none.

    Raises:
        StorageError: it cannot be read, or is none.
    """
    path = folder / MANIFEST_FILE
    if not is_there(path):
        return Manifest()
    data = parse_json(read_plain(path, MAX_MANIFEST_BYTES, "a board's manifest", folder), str(path))
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise StorageError(f"{path}: {error.errors()[0]['msg']}; take it from the repository again") from None
    images = {images.place: images for images in file.images}
    return Manifest(images, file.records, {"details": file.details, "pictures": file.pictures}, there=True)
