"""Whether the records of one method are all that a board asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adbench import UsageError
from adbench.boards.board import Board
from adbench.boards.records.keys import method_key, method_name, short_keys, shots_of, unit_of
from adbench.boards.records.records_io import FoundRecord
from adbench.boards.text import listed, plain

SHOWN = 5


@dataclass(frozen=True)
class Review:
    """Result of the check of a method's records.

    Attributes:
        faults: why the records cannot be handed in.
        warnings: what a reviewer will ask about.
    """

    faults: list[str]
    warnings: list[str]


def of_one_method(found: Sequence[FoundRecord], named: str | None) -> list[FoundRecord]:
    """The records of the method to hand in.

    Args:
        found: records, maybe of several methods.
        named: the method's name or the beginning of its key, where there are several.

    Raises:
        UsageError: the words fit no method, or several.
    """
    methods: dict[str, list[FoundRecord]] = defaultdict(list)
    for each in found:
        methods[method_key(each.record)].append(each)
    names = {key: plain(method_name(each.record for each in members)) for key, members in methods.items()}
    chosen = [key for key, name in names.items() if named is None or named == name or key.startswith(named)]
    if len(chosen) != 1:
        short = short_keys(names)
        listed = ", ".join(f"{name} ({short[key]})" for key, name in sorted(names.items(), key=lambda item: item[::-1]))
        raise UsageError(f"name one method with --method: a name, or the key behind it, of {listed or 'none'}")
    return methods[chosen[0]]


def review(board: Board, found: Sequence[FoundRecord], categories: Sequence[str]) -> Review:
    """Check a method's records as a reviewer would.

    Args:
        board: that takes them.
        found: the records.
        categories: all that a complete row needs.
    """
    faults = [f"{each.where}: ended as {each.record.status}" for each in found if each.record.status != "ok"]
    faults += [f"{each.where}: weights are random" for each in found if each.record.regime.random_weights]
    faults += _missing(board, found, categories)
    dirty = [each.where for each in found if each.record.provenance.dirty]
    warnings = [f"made from a checkout with uncommitted changes: {listed(dirty, SHOWN)}"] if dirty else []
    for each in found:
        leaked = each.record.task.duplicates
        warnings += (
            [f"{each.where}: test images that are training images too: {listed(leaked, SHOWN)}"] if leaked else []
        )
    return Review(faults, warnings)


def _missing(board: Board, found: Sequence[FoundRecord], categories: Sequence[str]) -> Iterator[str]:
    """Units that a complete row lacks, for each number of shots that has records."""
    there = {(shots_of(each.record), *unit_of(each.record)) for each in found}
    for shots in sorted({shots for shots, _, _ in there}):
        wanted = [(name, seed) for name in categories for seed in board.protocol.seeds]
        gaps = [f"{plain(name)} seed {seed}" for name, seed in wanted if (shots, name, seed) not in there]
        of = f" of {shots} shots" if shots else ""
        if gaps:
            yield f"{len(gaps)} of {len(wanted)} units{of} are missing: {listed(gaps, SHOWN)}"
