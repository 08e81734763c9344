"""Records from runs and from files of records: read with suspicion, merged without losing one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from adbench import StorageError
from adbench.boards.integrity import forged
from adbench.boards.text import plain
from adbench.boards.tidy import Unit, row_key, unit_of
from adbench.engine.record import RECORD_FILE, RecipeInfo, ResultRecord, canonical_json, parse_record, read_record

MAX_FILE_BYTES = 256 << 20
MAX_COST = 1e12
ROUNDING = 1e-6
"""What another number of threads, another runtime or another processor may do to a figure (measured: 4e-9)."""


@dataclass(frozen=True)
class Found:
    """A record and where it was found.

    Attributes:
        record: what was found.
        where: for messages.
        folder: that of its run, where it was found in one.
        text: the line that it was read from, where it stands on a board already; it stays as it is.
    """

    record: ResultRecord
    where: str
    folder: Path | None = field(default=None, compare=False)
    text: str | None = field(default=None, compare=False)

    @cached_property
    def line(self) -> str:
        """The record as a line of a board's file.

        Raises:
            ValueError: it cannot be written as JSON.
        """
        return to_line(self.record) if self.text is None else self.text

    @property
    def plain(self) -> bool:
        """Whether its text is known to have no character that UTF-8 cannot write: JSON smuggles these in escaped."""
        return self.text is not None and "\\u" not in self.text


def read_run(folder: Path) -> Found | str:
    """The record of a run, or a sentence that says why it cannot stand on a board."""
    try:
        found = Found(read_record(folder), str(folder / RECORD_FILE), folder)
    except StorageError as error:
        return str(error)
    return refusal(found) or found


def read_lines(file: Path) -> Iterator[tuple[str, Found | str]]:
    """Each line of a file of records, with its record or the sentence that says why it is none.

    Raises:
        StorageError: the file cannot be read, is no UTF-8 text or is far too large.
    """
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise StorageError(f"{file}: larger than {MAX_FILE_BYTES >> 20} MiB; this is no file of records")
        lines = file.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file}: {error}; repair or remove it") from None
    before: RecipeInfo | None = None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _read_line(line, f"{file}:{number}", before)
            before = found.record.recipe if isinstance(found, Found) else before
            yield line, found


def _read_line(line: str, where: str, before: RecipeInfo | None) -> Found | str:
    try:
        record = parse_record(line, where)
    except StorageError as error:
        return str(error)
    if before == record.recipe:  # a method's records share one, and what is made of it once
        record = record.model_copy(update={"recipe": before})
    found = Found(record, where, text=None if record.former_id else line)  # an older schema is written anew
    return refusal(found) or found


def refusal(found: Found) -> str:
    """Why a record that fits the schema cannot stand on a board; empty if it can."""
    record = found.record
    try:
        if not found.plain:
            to_line(record).encode("utf-8")
        edited = forged(record)
    except (ValueError, RecursionError) as error:
        return f"{found.where}: not writable as JSON: {plain(str(error))}"
    strange = edited or next(_strange_figures(record), "")
    return strange and f"{found.where}: {strange}"


def _strange_figures(record: ResultRecord) -> Iterator[str]:
    """A sentence for each figure that no run can have."""
    for name, info in record.metrics.items():
        for value in (info.value, *(info.interval or ())):
            if value is not None and not 0 <= value <= 1:
                yield f"metric {plain(name)!r} is {value}; boards show figures from 0 to 1"
    for name, value in record.facts.items():
        if not math.isfinite(value):
            yield f"fact {plain(name)!r} is {value}; it has to be a number"
    costs: dict[str, Any] = {} if record.cost is None else dict(record.cost)
    costs |= {f"ms_per_image.{name}": value for name, value in costs.pop("ms_per_image", ())}
    for name, value in costs.items():
        if value is not None and not 0 <= value <= MAX_COST:
            yield f"cost {name} is {value}; it has to be between 0 and {MAX_COST:g}"


def to_line(record: ResultRecord) -> str:
    """The record as canonical JSON, on one line."""
    return canonical_json(record.to_json())


def merge(found: Iterable[Found], news: list[str]) -> list[Found]:
    """One record for each row and unit, whatever the order.

    Identical records merge. Records of one identity have to agree exactly on every metric that they share; of those the
    one with most and newest metrics stays. Of two identities for one method and unit (the data or the protocol's images
    have changed) the later stays, and `news` gets a sentence.

    Raises:
        StorageError: two records of one identity disagree: the run cannot be reproduced.
    """
    by_id: dict[str, list[Found]] = defaultdict(list)
    for each in found:
        by_id[each.record.id].append(each)
    single = [_best(same) for same in by_id.values()]
    by_unit: dict[tuple[tuple[str, int], Unit], list[Found]] = defaultdict(list)
    for each in single:
        by_unit[row_key(each.record), unit_of(each.record)].append(each)
    return [_latest(rivals, news) for _, rivals in sorted(by_unit.items())]


def _best(same: Sequence[Found]) -> Found:
    """Of records with one identity the fullest, after making sure that they agree."""
    if len(same) == 1:
        return same[0]
    ordered = sorted(same, key=lambda f: _fullness(f.record), reverse=True)
    for index, first in enumerate(ordered):
        for second in ordered[index + 1 :]:
            _agree(first, second)
    return ordered[0]


def _fullness(record: ResultRecord) -> tuple[bool, int, int, int, str, str]:
    figures = record.metrics.values()
    versions, intervals = sum(info.version for info in figures), sum(info.interval is not None for info in figures)
    return record.status == "ok", len(figures), versions, intervals, record.provenance.started, to_line(record)


def _agree(first: Found, second: Found) -> None:
    """Raise the alarm if two records of one identity measure different things, beyond `ROUNDING`."""
    for name in sorted(first.record.metrics.keys() & second.record.metrics.keys()):
        one, other = first.record.metrics[name], second.record.metrics[name]
        if one.version == other.version and not _same(one.value, other.value):
            raise StorageError(
                f"{first.where} and {second.where} are the same run ({first.record.id[:12]}) with different results:"
                f" {plain(name)} is {one.value} and {other.value}; find out what is not reproducible, then remove one"
            )


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= ROUNDING)


def _latest(rivals: Sequence[Found], news: list[str]) -> Found:
    ordered = sorted(rivals, key=lambda f: (f.record.provenance.started, f.record.id), reverse=True)
    latest = ordered[0]
    later = f"a later run of the same method, category and seed is {latest.where}"
    news.extend(f"{old.where}: left out, {later}" for old in ordered[1:])
    return latest
