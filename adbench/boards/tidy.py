"""Records to tidy rows: methods, the regimes that keep them apart, and one reading a method, unit and metric. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeVar

from adbench.boards.board import Board
from adbench.boards.text import plain
from adbench.engine.record import MetricInfo, ResultRecord

Kept = TypeVar("Kept")


class Unit(NamedTuple):
    """What one record is about, on a board."""

    category: str
    seed: int


@dataclass(frozen=True, order=True)
class Regime:
    """What a method was given. Only methods of one regime are ranked together.

    Attributes are ordered so that the plainest regime sorts first.
    """

    tuned_on_test: bool = False
    transductive: bool = False
    anomalies: bool = False
    tuned_per_category: bool = False
    class_names: bool = False
    zero_shot: bool = False
    shots: int = 0
    outdated: tuple[str, ...] = ()
    """Metrics of the board that were measured with an older version, with that version."""

    def __str__(self) -> str:
        learned = "zero-shot" if self.zero_shot else f"{self.shots}-shot" if self.shots else "normal training images"
        traits = {
            "transductive (learned from the test images)": self.transductive,
            "labelled anomalies": self.anomalies,
            "tuned per category": self.tuned_per_category,
            "tuned on the test labels": self.tuned_on_test,
            "class names": self.class_names,
            f"older metrics ({', '.join(self.outdated)})": bool(self.outdated),
        }
        return ", ".join([learned, *(text for text, holds in traits.items() if holds)])


@dataclass(frozen=True)
class Reading:
    """What a method's record says of one metric on one unit.

    Attributes:
        value: the figure, a fraction, or None.
        mark: shown in its place: "n/a", a status such as "failed", or what else keeps the figure from counting.
        reason: the sentence behind the mark.
        interval: of 95 % confidence over draws of the test images, where it was measured.
    """

    value: float | None
    mark: str = ""
    reason: str = ""
    interval: tuple[float, float] | None = None

    @property
    def counts(self) -> bool:
        """Whether the unit is done: it has a figure, or the figure is undefined there."""
        return self.mark in ("", "n/a")


@dataclass(frozen=True)
class Method:
    """A row of a board: a recipe, and how many shots it was given.

    Attributes:
        key: unique on the board; begins with `method_key`.
        label: for people, unique on the board; a hash follows the name where several specs share it.
        records: by unit.
    """

    key: str
    label: str
    records: Mapping[Unit, ResultRecord]

    @cached_property
    def regime(self) -> Regime:
        """Everything that any of its records was given; what failed before it saw an image does not say zero-shot."""
        given = [record.regime for record in self.records.values()]
        done = [record.regime for record in self.records.values() if record.status == "ok"]
        return Regime(
            tuned_on_test=any(regime.tuned_on_test for regime in given),
            transductive=any(regime.test_set for regime in given),
            anomalies=any(regime.anomalies for regime in given),
            tuned_per_category=any(regime.tuned_per_category for regime in given),
            class_names=any(regime.class_names for regime in given),
            zero_shot=bool(done) and all(regime.train_images == 0 for regime in done),
            shots=max(map(shots_of, self.records.values())),
        )

    @property
    def random(self) -> bool:
        """Whether any of its weights were never trained."""
        return any(record.regime.random_weights for record in self.records.values())


@dataclass(frozen=True)
class Tidy:
    """All that a board's tables are made of.

    Attributes:
        board: whose records they were.
        categories, seeds: together, the units that a complete method has.
        methods: sorted by label.
        images: the `samples_sha` that counts on each unit, for each number of shots.
        versions: the version of each metric that counts.
    """

    board: Board
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    images: Mapping[tuple[int, Unit], str]
    versions: Mapping[str, int]
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Every category with every seed."""
        return tuple(Unit(category, seed) for category in self.categories for seed in self.seeds)

    def kept(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        """What is made once, since several tables of a board read it."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Kept = self._kept[key]
        return found

    def regimes(self) -> list[tuple[Regime, tuple[Method, ...]]]:
        """Methods that may be ranked together, the plainest regime first."""
        return self.kept(("regimes",), self._regimes)

    def _regimes(self) -> list[tuple[Regime, tuple[Method, ...]]]:
        apart: dict[Regime, list[Method]] = defaultdict(list)
        for method in self.methods:
            apart[replace(method.regime, outdated=self._outdated(method))].append(method)
        return [(regime, tuple(apart[regime])) for regime in sorted(apart)]

    def _outdated(self, method: Method) -> tuple[str, ...]:
        versions = {(name, info.version) for record in method.records.values() for name, info in record.metrics.items()}
        older = {(name, version) for name, version in versions if version != self.versions[name]}
        return tuple(f"{name} {version}" for name, version in sorted(older) if name in self.board.metrics)

    def readings(self, method: Method, metric: str) -> dict[Unit, Reading]:
        """What the method's records say of a metric, for each unit that it has a record of."""
        return self.kept(
            ("readings", method.key, metric),
            lambda: {
                unit: unusable or self._reading(record, metric) for unit, record, unusable in self._records_of(method)
            },
        )

    def _records_of(self, method: Method) -> list[tuple[Unit, ResultRecord, Reading | None]]:
        """The method's records, and what stands in place of every figure of those that do not count."""
        found = ((unit, method.records[unit]) for unit in self.units if unit in method.records)
        return self.kept(
            ("records", method.key), lambda: [(unit, record, self._unusable(record, unit)) for unit, record in found]
        )

    def strange(self, record: ResultRecord) -> bool:
        """Whether a finished record saw other images than the ones that count."""
        return self._differs(record, unit_of(record))

    def _differs(self, record: ResultRecord, unit: Unit) -> bool:
        return record.status == "ok" and record.task.samples_sha != self.images[shots_of(record), unit]

    def _unusable(self, record: ResultRecord, unit: Unit) -> Reading | None:
        if record.status != "ok":
            return Reading(None, record.status, plain(record.reason) or "no reason given")
        if self._differs(record, unit):
            return Reading(None, "other images", "its images differ from those of the other records; run it again")
        return None

    def _reading(self, record: ResultRecord, metric: str) -> Reading:
        info = record.metrics.get(metric)
        if info is None:
            return Reading(None, "not measured", "run 'adbench evaluate' on its run")
        if info.version != self.versions[metric]:
            return Reading(
                None, "old metric", f"not version {self.versions[metric]}; run 'adbench evaluate' on its run"
            )
        return _value(info)


def _value(info: MetricInfo) -> Reading:
    if info.value is None:
        return Reading(None, "n/a", plain(info.reason) or "undefined")
    return Reading(info.value, interval=info.interval)


def tidy(board: Board, records: Sequence[ResultRecord]) -> Tidy:
    """Sort a board's records out. The order of the records does not matter.

    Args:
        board: says the categories and metrics.
        records: all belong to the board; one for each method and unit.
    """
    return _tidy(board, _Records(tuple(records)))


class _Records(NamedTuple):
    """Records that are equal if they are the same ones: a board's tables are made from them one after another."""

    records: tuple[ResultRecord, ...]

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.records)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Records) and list(map(id, self.records)) == list(map(id, other.records))


@lru_cache(maxsize=1)
def _tidy(board: Board, given: _Records) -> Tidy:
    records = given.records
    seeds = sorted({record.task.seed for record in records})
    known = sorted({record.task.category for record in records})
    return Tidy(
        board=board,
        categories=tuple(known) if board.categories is None else board.categories,
        seeds=tuple(seeds),
        methods=_methods(records),
        images=_images(records),
        versions=_versions(records),
    )


def method_key(record: ResultRecord) -> str:
    """Eight hexadecimal digits for the spec, which alone decides the score: records of one method share them."""
    return record.recipe.spec_sha[:8]


def method_name(records: Iterable[ResultRecord]) -> str:
    """What most records of a method call it; of equally many the first by alphabet."""
    names = Counter(record.recipe.name for record in records)
    return min(names, key=lambda name: (-names[name], name))


def unit_of(record: ResultRecord) -> Unit:
    """Category and seed."""
    return Unit(record.task.category, record.task.seed)


def shots_of(record: ResultRecord) -> int:
    """How many normal images the protocol gave; 0 for all of them."""
    return int(record.task.protocol.get("shots") or 0)


def row_key(record: ResultRecord) -> tuple[str, int]:
    """What the records of one row share: the spec and the shots."""
    return method_key(record), shots_of(record)


def _methods(records: Sequence[ResultRecord]) -> tuple[Method, ...]:
    rows: dict[tuple[str, int], dict[Unit, ResultRecord]] = defaultdict(dict)
    for record in records:
        rows[row_key(record)][unit_of(record)] = record
    several = len({shots for _, shots in rows}) > 1
    given = {row: f"{row[1] or 'full'}-shot" if several else "" for row in rows}
    names = {row: plain(method_name(units.values())) or "unnamed" for row, units in rows.items()}
    shared = Counter((name, row[1]) for row, name in names.items())
    methods = []
    for row, units in rows.items():
        name = names[row] if shared[names[row], row[1]] == 1 else f"{names[row]} ({row[0]})"
        key, label = "-".join(filter(None, [row[0], given[row]])), ", ".join(filter(None, [name, given[row]]))
        methods.append(Method(key, label, dict(sorted(units.items()))))
    return tuple(sorted(methods, key=lambda method: method.label))


def _images(records: Iterable[ResultRecord]) -> dict[tuple[int, Unit], str]:
    """For each unit the images that most finished records saw, of equally many the latest."""
    seen: dict[tuple[int, Unit], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in (each for each in records if each.status == "ok"):
        seen[shots_of(record), unit_of(record)][record.task.samples_sha].append(record.provenance.started)
    return {
        unit: max(by_sha, key=lambda sha: (len(by_sha[sha]), max(by_sha[sha]), sha)) for unit, by_sha in seen.items()
    }


def _versions(records: Iterable[ResultRecord]) -> dict[str, int]:
    """The newest version of each metric that any record has."""
    newest: dict[str, int] = {}
    for record in records:
        for name, info in record.metrics.items():
            newest[name] = max(info.version, newest.get(name, info.version))
    return newest
