"""Tidy rows of records: methods, their regimes, and one reading for each method, unit and metric. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from adbench.boards.board import Board
from adbench.boards.text import plain
from adbench.engine.store.record import MetricInfo, ResultRecord

Kept = TypeVar("Kept")

_USUAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""A name that a recipe can have."""
_OURS = str.maketrans({"(": "[", ")": "]", ",": ";"})


class UnitKey(NamedTuple):
    """Category and seed: the unit of one record on a board."""

    category: str
    seed: int


@dataclass(frozen=True, order=True)
class RegimeGroup:
    """The regime: what a method may learn from. Only methods of one regime are ranked together.

    Attributes are ordered so that the plainest regime sorts first.
    """

    unverified: bool = False
    """Figures that were not verified by raw scores: listed, and never ranked."""
    tuned_on_test: bool = False
    transductive: bool = False
    anomalies: bool = False
    tuned_per_category: bool = False
    class_names: bool = False
    zero_shot: bool = False
    shots: int = 0
    contamination: float = 0.0
    outdated: tuple[str, ...] = ()
    """Metrics of the board that were measured with an older version, with that version."""
    unknown: tuple[str, ...] = ()
    """Metrics of the board whose version the adbench that is installed does not know, with that version."""

    def __str__(self) -> str:
        learned = "zero-shot" if self.zero_shot else f"{self.shots}-shot" if self.shots else "normal training images"
        traits = {
            "transductive (learned from the test images)": self.transductive,
            "labelled anomalies": self.anomalies,
            "tuned per category": self.tuned_per_category,
            "tuned on the test labels": self.tuned_on_test,
            "class names": self.class_names,
            f"{100 * self.contamination:g} % of the training images defective": self.contamination > 0,
            f"older metrics ({', '.join(self.outdated)})": bool(self.outdated),
            f"versions of metrics that are unknown here ({', '.join(self.unknown)})": bool(self.unknown),
            "unverified": self.unverified,
        }
        return ", ".join([learned, *(text for text, holds in traits.items() if holds)])


@dataclass(frozen=True)
class Reading:
    """One metric of a method on one unit.

    Attributes:
        value: the figure, a fraction, or None.
        mark: shown instead of the figure: "n/a", a status such as "failed", or why it does not count.
        reason: the sentence behind the mark.
        interval: of 95 % confidence over draws of the test images, where it was measured.
        fixed: hash of the images, if nothing was drawn at random: every seed gives the same on them; else empty.
    """

    value: float | None
    mark: str = ""
    reason: str = ""
    interval: tuple[float, float] | None = None
    fixed: str = ""

    @property
    def counts(self) -> bool:
        """Whether the unit is done: it has a figure, or the figure is undefined there."""
        return self.mark in ("", "n/a")


@dataclass(frozen=True)
class MethodRow:
    """A row of a board: a recipe, and how many shots it was given.

    Attributes:
        key: unique on the board; begins with `method_key`.
        label: for people, unique on the board; a hash follows the name where several specs share it.
        records: by unit.
        unverified: whether its records were not verified by raw scores.
    """

    key: str
    label: str
    records: Mapping[UnitKey, ResultRecord]
    unverified: bool = False

    @cached_property
    def regime(self) -> RegimeGroup:
        """Everything that any of its records may learn from; a record that failed early does not count as zero-shot."""
        given = [record.regime for record in self.records.values()]
        done = [record.regime for record in self.records.values() if record.status == "ok"]
        return RegimeGroup(
            unverified=self.unverified,
            tuned_on_test=any(regime.tuned_on_test for regime in given),
            transductive=any(regime.test_set for regime in given),
            anomalies=any(regime.anomalies for regime in given),
            tuned_per_category=any(regime.tuned_per_category for regime in given),
            class_names=any(regime.class_names for regime in given),
            zero_shot=bool(done) and all(regime.train_images == 0 for regime in done),
            shots=max(map(shots_of, self.records.values())),
            contamination=max((regime.contamination for regime in given), default=0.0),
        )

    @property
    def random(self) -> bool:
        """Whether any of its weights were never trained."""
        return any(record.regime.random_weights for record in self.records.values())


@dataclass(frozen=True)
class BoardTruth:
    """Facts that no record decides.

    Attributes:
        unverified: ids of the records that were not verified by raw scores.
        images: the `samples_sha` that counts on a unit, for a number of shots.
        duplicates: test images of such a unit that are training images too; absent where no search was made.
        versions: of each metric that is installed.
    """

    unverified: frozenset[str] = frozenset()
    images: Mapping[tuple[int, UnitKey], str] = field(default_factory=dict)
    duplicates: Mapping[tuple[int, UnitKey], tuple[str, ...]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)


_NOTHING_KNOWN = BoardTruth()


@dataclass(frozen=True)
class BoardData:
    """The data of a board's tables.

    Attributes:
        board: whose records they were.
        records: all of them.
        categories, seeds: together, the units that a complete method has.
        methods: sorted by label.
        images: the `samples_sha` that counts on each unit, for each number of shots.
        duplicates: test images of such a unit that are training images too; absent where no search was made.
        versions: the version of each metric that counts.
    """

    board: Board
    records: tuple[ResultRecord, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[MethodRow, ...]
    images: Mapping[tuple[int, UnitKey], str]
    duplicates: Mapping[tuple[int, UnitKey], tuple[str, ...]]
    versions: Mapping[str, int]
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def units(self) -> tuple[UnitKey, ...]:
        """Every category with every seed."""
        return tuple(UnitKey(category, seed) for category in self.categories for seed in self.seeds)

    def kept(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        """A value that is made once, because several tables of a board read it."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Kept = self._kept[key]
        return found

    def regimes(self) -> list[tuple[RegimeGroup, tuple[MethodRow, ...]]]:
        """Methods that may be ranked together, the plainest regime first."""
        return self.kept(("regimes",), self._regimes)

    def _regimes(self) -> list[tuple[RegimeGroup, tuple[MethodRow, ...]]]:
        apart: dict[RegimeGroup, list[MethodRow]] = defaultdict(list)
        for method in self.methods:
            versions = self._versions_of(method)
            older = tuple(f"{name} {version}" for name, version in versions if version < self.versions[name])
            newer = tuple(f"{name} {version}" for name, version in versions if version > self.versions[name])
            apart[replace(method.regime, outdated=older, unknown=newer)].append(method)
        return [(regime, tuple(apart[regime])) for regime in sorted(apart)]

    def _versions_of(self, method: MethodRow) -> list[tuple[str, int]]:
        """Versions of the board's metrics in finished records."""
        done = (record for record in method.records.values() if record.status == "ok")
        found = {(name, info.version) for record in done for name, info in record.metrics.items()}
        return sorted((name, version) for name, version in found if name in self.board.metrics)

    def readings(self, method: MethodRow, metric: str) -> dict[UnitKey, Reading]:
        """Readings of a metric, for each unit that the method has a record of."""
        return self.kept(
            ("readings", method.key, metric),
            lambda: {
                unit: unusable or self._reading(record, metric) for unit, record, unusable in self._records_of(method)
            },
        )

    def _records_of(self, method: MethodRow) -> list[tuple[UnitKey, ResultRecord, Reading | None]]:
        """The method's records; a record that does not count has a reading that replaces all its figures."""
        found = ((unit, method.records[unit]) for unit in self.units if unit in method.records)
        return self.kept(
            ("records", method.key), lambda: [(unit, record, self._unusable(record)) for unit, record in found]
        )

    def strange(self, record: ResultRecord) -> bool:
        """Whether a finished record has other images than those that count."""
        counting = self.images.get((shots_of(record), unit_of(record)), record.task.samples_sha)
        return record.status == "ok" and record.task.samples_sha != counting

    def _unusable(self, record: ResultRecord) -> Reading | None:
        if record.status != "ok":
            return Reading(None, record.status, plain(record.reason) or "no reason given")
        if self.strange(record):
            return Reading(None, "other images", "its images are not those of the board; run it again")
        return None

    def _reading(self, record: ResultRecord, metric: str) -> Reading:
        info = record.metrics.get(metric)
        if info is None:
            return Reading(None, "not measured", "run 'adbench evaluate' on its run")
        if info.version != self.versions[metric]:
            return Reading(
                None, "old metric", f"not version {self.versions[metric]}; run 'adbench evaluate' on its run"
            )
        return _value(info, record.task.samples_sha if record.drew is False else "")


def _value(info: MetricInfo, fixed: str) -> Reading:
    if info.value is None:
        return Reading(None, "n/a", plain(info.reason) or "undefined")
    return Reading(info.value, interval=info.interval, fixed=fixed)


def tidy(board: Board, records: Sequence[ResultRecord], truth: BoardTruth = _NOTHING_KNOWN) -> BoardData:
    """Tidy rows of a board's records. The order of the records does not matter.

    Unverified records decide nothing: they fill no gap of a row that was measured, and name no category, seed, image or
    version that others have to have. Nor does a method that ended well nowhere.

    Args:
        board: says the categories and metrics.
        records: all belong to the board; one for each method and unit, and for each of them maybe one unverified.
        truth: facts that records do not decide. Where it is silent, the value of most verified records counts.
    """
    measured = [record for record in records if record.id not in truth.unverified] or list(records)
    well = {method_key(record) for record in measured if record.status == "ok"}
    asked = [record for record in measured if method_key(record) in well] or measured
    known = sorted({record.task.category for record in asked})
    return BoardData(
        board=board,
        records=tuple(records),
        categories=tuple(known) if board.categories is None else board.categories,
        seeds=tuple(sorted({record.task.seed for record in asked})),
        methods=_methods(records, truth.unverified),
        images={**most_common_images(measured), **truth.images},
        duplicates=truth.duplicates,
        versions={**_versions(records), **_versions(measured), **truth.versions},
    )


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


def row_key(record: ResultRecord) -> tuple[str, int]:
    """Spec and shots, which the records of one row share."""
    return method_key(record), shots_of(record)


class _Row(NamedTuple):
    """Spec, shots and verification, which the records of one row of a board share."""

    key: str
    shots: int
    unverified: bool

    @property
    def given(self) -> str:
        """Text for the shots."""
        return f"{self.shots or 'full'}-shot"


def _methods(records: Iterable[ResultRecord], unverified: frozenset[str]) -> tuple[MethodRow, ...]:
    rows: dict[_Row, dict[UnitKey, ResultRecord]] = defaultdict(dict)
    for record in records:
        rows[_Row(*row_key(record), record.id in unverified)][unit_of(record)] = record
    several = len({row.shots for row in rows}) > 1
    names = _names(rows)
    methods = []
    for row, units in rows.items():
        given = [*([row.given] if several else []), *(["unverified"] if row.unverified else [])]
        key, label = "-".join([row.key, *given]), ", ".join([names[row], *given])
        methods.append(MethodRow(key, label, dict(sorted(units.items())), row.unverified))
    return tuple(sorted(methods, key=lambda method: method.label))


def _names(rows: Mapping[_Row, Mapping[UnitKey, ResultRecord]]) -> dict[_Row, str]:
    """Names of rows. The beginning of the key follows a name that several specs share.

    The key also follows a name that no recipe can have, since two such names may look alike. Labels alone have brackets
    and commas: other signs replace those of a name, so that it cannot imitate a label. Unverified records change no
    name of verified ones.
    """
    short = short_keys(row.key for row in rows)
    names = {row: method_name(units.values()) for row, units in rows.items()}
    owners: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for row, name in names.items():
        owners[name, True].add(row.key)
        owners[name, row.unverified].add(row.key)
    return {
        row: name
        if len(owners[name, row.unverified]) == 1 and _USUAL.fullmatch(name)
        else f"{plain(name).translate(_OURS) or 'unnamed'} ({short[row.key]})"
        for row, name in names.items()
    }


def most_common_images(records: Iterable[ResultRecord]) -> dict[tuple[int, UnitKey], str]:
    """The images that most finished records of a unit have; of equally frequent ones the latest."""
    seen: dict[tuple[int, UnitKey], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in (each for each in records if each.status == "ok"):
        seen[shots_of(record), unit_of(record)][record.task.samples_sha].append(record.provenance.started)
    return {
        place: max(by_sha, key=lambda sha: (len(by_sha[sha]), max(by_sha[sha]), sha)) for place, by_sha in seen.items()
    }


def _versions(records: Iterable[ResultRecord]) -> dict[str, int]:
    """The version of each metric that most finished records have, of equally many the newest."""
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    for record in (each for each in records if each.status == "ok"):
        for name, info in record.metrics.items():
            seen[name][info.version] += 1
    return {name: max(counts, key=lambda version: (counts[version], version)) for name, counts in seen.items()}
