"""Merging of records: one for each row and unit, and no unverified record replaces a verified one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from adbench import StorageError
from adbench.boards.records.keys import Place, UnitKey, place_of, row_key, unit_of
from adbench.boards.records.records_io import FoundRecord, to_line
from adbench.boards.text import plain

ROUNDING = 1e-6
"""Largest difference of a figure between numbers of threads, runtimes or processors (measured: 4e-9)."""

_Slot: TypeAlias = tuple[tuple[str, int], bool, UnitKey]
"""Row, whether it is verified, and unit: the place of one record."""


@dataclass
class MergeNotes:
    """Sentences about the changes of a merge.

    Attributes:
        news: what changed.
        refused: what was not taken, and why.
        replaced: ids of records on the board whose place others take.
    """

    news: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Merge:
    """The rules of a merge.

    Attributes:
        images: the `samples_sha` that counts on a unit, for a number of shots.
        versions: of the metrics that are installed; figures of later ones make no record fuller.
        replacing: whether new records are meant to take the place of those on the board.
        notes: takes a sentence for each record that is changed or left out.
    """

    images: Mapping[Place, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    replacing: bool = False
    notes: MergeNotes = field(default_factory=MergeNotes)

    def merge(self, found: Iterable[FoundRecord]) -> list[FoundRecord]:
        """One record for each row and unit, and at most one unverified one besides, whatever the order.

        - Identical records merge. Of one identity, measured ones have to agree on every metric that they share; the one
          with most and newest metrics stays. One that is unverified never takes the place of another.
        - Of two identities for one method and unit (the data, or what a draw means, have changed) the one that stands
          on the board stays, unless it ended badly and the new one well, or the new one is meant to replace it.

        Raises:
            StorageError: two measured records of one identity disagree: the run cannot be reproduced.
        """
        by_id: dict[str, list[FoundRecord]] = defaultdict(list)
        for each in found:
            by_id[each.record.id].append(each)
        by_slot: dict[_Slot, list[FoundRecord]] = defaultdict(list)
        for same in by_id.values():
            each = self._best(same)
            by_slot[row_key(each.record), each.measured, unit_of(each.record)].append(each)
        return [self._chosen(rivals) for _, rivals in sorted(by_slot.items(), key=lambda item: item[0])]

    def _best(self, same: Sequence[FoundRecord]) -> FoundRecord:
        """The fullest of several records with one identity; they have to agree."""
        if len(same) == 1:
            return same[0]
        measured = [each for each in same if each.measured]
        best = self._fullest(measured) if measured else self._first(same)
        for each in same:
            name = _difference(each, best)
            if name and not each.measured:
                self.notes.refused.append(
                    f"{each.where}: left out: {best.where} is the same run, and has another {name};"
                    " nobody has seen raw scores of this one"
                )
        return best

    def _first(self, same: Sequence[FoundRecord]) -> FoundRecord:
        """The unverified record on the board, which no other changes; without one, the fullest."""
        return max(same, key=lambda each: (each.stands, self._fullness(each)))

    def _fullest(self, measured: Sequence[FoundRecord]) -> FoundRecord:
        """The fullest of verified records, which have to agree; with `replacing`, a new one comes first."""
        new = [each for each in measured if not each.stands]
        if self.replacing and new and len(new) < len(measured):
            best = self._fullest(new)
            changed = sorted({_difference(each, best) for each in measured if each.stands} - {""})
            if changed:
                self.notes.news += [f"{best.where}: replaces the same run with another {name}" for name in changed]
                return best
        ordered = sorted(measured, key=lambda each: (self._fullness(each), each.stands), reverse=True)
        for index, first in enumerate(ordered):
            for second in ordered[index + 1 :]:
                _require_agreement(first, second)
        return ordered[0]

    def _chosen(self, rivals: Sequence[FoundRecord]) -> FoundRecord:
        """The record that counts, of those for one method and unit."""
        if len(rivals) == 1:
            return rivals[0]
        ordered = sorted(rivals, key=self._priority, reverse=True)
        chosen = ordered[0]
        for other in ordered[1:]:
            self._add_note(chosen, other)
        return chosen

    def _priority(self, each: FoundRecord) -> tuple[bool, bool, bool, str, str]:
        """The order of rival records: finished ones, those on the board, those on its images, then the latest."""
        record = each.record
        first = not each.stands if self.replacing else each.stands
        own = self.images.get(place_of(record)) == record.task.samples_sha
        return record.status == "ok", first, own, record.provenance.started, record.id

    def _fullness(self, each: FoundRecord) -> tuple[bool, int, int, int, str, str]:
        record = each.record
        figures = [
            info for name, info in record.metrics.items() if info.version <= self.versions.get(name, info.version)
        ]
        versions, intervals = sum(info.version for info in figures), sum(info.interval is not None for info in figures)
        return record.status == "ok", len(figures), versions, intervals, record.provenance.started, to_line(record)

    def _add_note(self, chosen: FoundRecord, other: FoundRecord) -> None:
        same = "same method, category and seed"
        if chosen.stands and not other.stands:
            self.notes.refused.append(
                f"{other.where}: left out: a record of the {same} is on the board, {chosen.where}, with other images or"
                " another protocol; to put this one in its place, add --replace"
            )
        elif other.stands and not chosen.stands:
            self.notes.replaced.add(other.record.id)
            self.notes.news.append(f"{other.where}: replaced by {chosen.where}, a run of the {same}")
        elif other.stands:
            self.notes.refused.append(
                f"{other.where}: does not count: {chosen.where} is of the {same}; remove one of them"
            )
        else:
            self.notes.news.append(f"{other.where}: left out, a later run of the {same} is {chosen.where}")


def _difference(first: FoundRecord, second: FoundRecord) -> str:
    """The first metric on which two records of one identity differ beyond `ROUNDING`; empty if there is none."""
    for name in sorted(first.record.metrics.keys() & second.record.metrics.keys()):
        one, other = first.record.metrics[name], second.record.metrics[name]
        if one.version == other.version and not _same(one.value, other.value):
            return name
    return ""


def _require_agreement(first: FoundRecord, second: FoundRecord) -> None:
    """Raise `StorageError` if two records of one identity have different figures."""
    name = _difference(first, second)
    if name:
        one, other = first.record.metrics[name].value, second.record.metrics[name].value
        raise StorageError(
            f"{first.where} and {second.where} are the same run ({first.record.id[:12]}) with different results:"
            f" {plain(name)} is {one} and {other}; find out what is not reproducible, then remove one"
        )


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= ROUNDING)
