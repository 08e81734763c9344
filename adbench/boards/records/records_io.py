"""Reading and writing of records in runs and in files, with checks of each value from an untrusted source."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from adbench import StorageError
from adbench.boards.records.integrity import forged
from adbench.boards.records.line_files import read_line_file
from adbench.boards.text import plain
from adbench.engine.store.record import (
    RECORD_FILE,
    Cost,
    RecipeInfo,
    ResultRecord,
    canonical_json,
    parse_record,
    read_record,
)

MAX_FILE_BYTES = 64 << 20
"""Text of a method's file: ten thousand records."""
MAX_COST = 1e12
MAX_COUNT = 10**9
MAX_SEED = (1 << 64) - 1
MAX_NAME = 500
"""Characters: twice what a folder's name may have."""
MAX_METRICS = 200
MAX_PARTS = 200
MAX_SPEC = 256 << 10
"""Characters of a recipe with all its options, which a page shows."""
_METRIC = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Names that the registry accepts."""


@dataclass(frozen=True)
class FoundRecord:
    """A record and where it was found.

    Attributes:
        record: what was found.
        where: for messages.
        folder: that of its run, where it was found in one.
        text: the line that it was read from, where it stands on a board already; it stays as it is.
        stands: whether it is on a board already.
        measured: whether its figures were verified to follow from raw scores.
    """

    record: ResultRecord
    where: str
    folder: Path | None = field(default=None, compare=False)
    text: str | None = field(default=None, compare=False)
    stands: bool = field(default=False, compare=False)
    measured: bool = field(default=True, compare=False)

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


def read_run(folder: Path) -> FoundRecord | str:
    """The record of a run, or a sentence that says why it cannot stand on a board."""
    try:
        found = FoundRecord(read_record(folder), str(folder / RECORD_FILE), folder)
    except StorageError as error:
        return str(error)
    return refusal(found) or _as_on_a_board(found)


def _as_on_a_board(found: FoundRecord) -> FoundRecord:
    """The same as if it had been read from a board: what order its options came in makes no difference."""
    former = found.record.former_id
    record = parse_record(found.line, found.where)
    record.__dict__["former_id"] = former
    return replace(found, record=record)


def read_lines(file: Path) -> Iterator[tuple[str, FoundRecord | str]]:
    """Each line of a file of records, with its record or the sentence that says why it is none.

    Raises:
        StorageError: the file cannot be read, is damaged, is no UTF-8 text or is far too large.
    """
    lines = read_line_file(file, "a file of records", most=MAX_FILE_BYTES).split("\n")
    before: RecipeInfo | None = None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = _read_line(line, f"{file}:{number}", before)
            before = found.record.recipe if isinstance(found, FoundRecord) else before
            yield line, found


def _read_line(line: str, where: str, before: RecipeInfo | None) -> FoundRecord | str:
    try:
        record = parse_record(line, where, before)
    except StorageError as error:
        return str(error)
    text = None if record.former_id else line  # an older schema is written anew
    found = FoundRecord(record, where, text=text, stands=True)
    return refusal(found) or found


def refusal(found: FoundRecord) -> str:
    """Reason why a record that fits the schema cannot be on a board; empty if it can."""
    record = found.record
    try:
        if not found.plain:
            to_line(record).encode("utf-8")
        edited = forged(record)
    except (ValueError, RecursionError) as error:
        return f"{found.where}: not writable as JSON: {plain(str(error))}"
    strange = edited or next(_too_much(record), "") or next(_strange_figures(record), "")
    return strange and f"{found.where}: {strange}"


def _too_much(record: ResultRecord) -> Iterator[str]:
    """A sentence for each name that is longer than any name is, or that no component can have."""
    names = {"recipe": record.recipe.name, "dataset": record.task.dataset, "category": record.task.category}
    for what, name in {**names, "revision": record.task.revision}.items():
        if len(name) > MAX_NAME:
            yield f"its {what} has a name of {len(name)} characters; names have at most {MAX_NAME}"
    if len(record.recipe.parts) > MAX_PARTS or len(record.recipe.spec_json) > MAX_SPEC:
        yield f"its recipe has more than {MAX_PARTS} parts, or {MAX_SPEC >> 10} KiB of options"
    if len(record.metrics) > MAX_METRICS:
        yield f"it has {len(record.metrics)} metrics; a record has at most {MAX_METRICS}"
    for name in record.metrics:
        if not _METRIC.fullmatch(name):
            yield f"metric {plain(name)!r} has a name that no metric can have: lower case words joined by '-'"


def _strange_figures(record: ResultRecord) -> Iterator[str]:
    """A sentence for each figure that no run can have."""
    task, metrics = record.task, record.metrics
    for name, info in metrics.items():
        for value in (info.value, *(info.interval or ())):
            if value is not None and not 0 <= value <= 1:
                yield f"metric {plain(name)!r} is {value}; boards show figures from 0 to 1"
        if not 0 <= info.version <= MAX_COUNT:
            yield _out_of_range(f"version of metric {name!r}", info.version, MAX_COUNT)
    counts = (("seed", task.seed, MAX_SEED), ("train", task.train, MAX_COUNT), ("test", task.test, MAX_COUNT))
    for name, count, most in counts:
        if not 0 <= count <= most:
            yield _out_of_range(name, count, most)
    for name, value in record.facts.items():
        if not math.isfinite(value):
            yield f"fact {plain(name)!r} is {value}; it has to be a number"
    yield from () if record.cost is None else _strange_costs(record.cost)


def _out_of_range(name: str, count: int, most: int) -> str:
    return f"{name} is {plain(str(count)[:40])}; it has to be between 0 and {most}"


def _strange_costs(cost: Cost) -> Iterator[str]:
    own, ms_per_image = vars(cost), vars(cost.ms_per_image)
    for name, value in (*own.items(), *((f"ms_per_image.{name}", value) for name, value in ms_per_image.items())):
        if value is not None and name != "ms_per_image" and not 0 <= value <= MAX_COST:
            yield f"cost {name} is {value}; it has to be between 0 and {MAX_COST:g}"


def to_line(record: ResultRecord) -> str:
    """The record as canonical JSON, on one line."""
    return canonical_json(record.to_json())
