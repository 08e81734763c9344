"""Keys of records: the method, its row on a board, the unit, and what decides the images of a unit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from adbench.engine.store.record import ResultRecord


class UnitKey(NamedTuple):
    """Category and seed: the unit of one record on a board."""

    category: str
    seed: int


Place: TypeAlias = tuple[int, UnitKey]
"""Shots and unit, which decide the images."""


def method_key(record: ResultRecord) -> str:
    """128 bits of the spec's hash, in hex: the spec alone decides the score, and records of one method share it."""
    return record.recipe.spec_sha[:32]


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """The beginning of each key, as many digits as tell all of them apart, at least eight."""
    known = set(keys)
    digits = next(n for n in (8, 12, 16, 24, 32) if n == 32 or len({key[:n] for key in known}) == len(known))
    return {key: key[:digits] for key in known}


def method_name(records: Iterable[ResultRecord]) -> str:
    """The name in most records of a method; of equally frequent names the first by alphabet."""
    names = Counter(record.recipe.name for record in records)
    return min(names, key=lambda name: (-names[name], name))


def unit_of(record: ResultRecord) -> UnitKey:
    """Category and seed."""
    return UnitKey(record.task.category, record.task.seed)


def shots_of(record: ResultRecord) -> int:
    """How many normal images the protocol gave; 0 for all of them."""
    return int(record.task.protocol.get("shots") or 0)


def place_of(record: ResultRecord) -> Place:
    """The shots and the unit of a record."""
    return shots_of(record), unit_of(record)


def row_key(record: ResultRecord) -> tuple[str, int]:
    """Spec and shots, which the records of one row share."""
    return method_key(record), shots_of(record)


def most_common_images(records: Iterable[ResultRecord]) -> dict[Place, str]:
    """The images that most finished records of a unit have; of equally frequent ones the latest."""
    found: dict[Place, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in (each for each in records if each.status == "ok"):
        found[place_of(record)][record.task.samples_sha].append(record.provenance.started)
    return {place: max(by, key=lambda sha: (len(by[sha]), max(by[sha]), sha)) for place, by in found.items()}
