"""Records to tidy rows: methods, the regimes that keep them apart, and one reading a method, unit and metric. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from adbench.boards.board import Board
from adbench.boards.text import hash8, plain
from adbench.engine.record import MetricInfo, ResultRecord, canonical_json


class Unit(NamedTuple):
    """What one record is about, on a board."""

    category: str
    seed: int


@dataclass(frozen=True, order=True)
class Regime:
    """What a method was given. Only methods of one regime are ranked together.

    Attributes are ordered so that the plainest regime sorts first.
    """

    transductive: bool = False
    anomalies: bool = False
    tuned_per_category: bool = False
    class_names: bool = False
    zero_shot: bool = False
    shots: int = 0

    def __str__(self) -> str:
        learned = "zero-shot" if self.zero_shot else f"{self.shots}-shot" if self.shots else "normal training images"
        traits = {
            "transductive (learned from the test images)": self.transductive,
            "labelled anomalies": self.anomalies,
            "tuned per category": self.tuned_per_category,
            "class names": self.class_names,
        }
        return ", ".join([learned, *(text for text, holds in traits.items() if holds)])


@dataclass(frozen=True)
class Reading:
    """What a method's record says of one metric on one unit.

    Attributes:
        value: the figure, a fraction, or None.
        mark: shown in its place: "n/a", a status such as "failed", or what else keeps the figure from counting.
        reason: the sentence behind the mark.
    """

    value: float | None
    mark: str = ""
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether the unit is done: it has a figure, or the figure is undefined there."""
        return self.mark in ("", "n/a")


@dataclass(frozen=True)
class Method:
    """A recipe as a board knows it: a spec, and a name for people.

    Attributes:
        label: unique on the board; a hash follows the name where several specs share it.
        records: by unit.
    """

    label: str
    records: Mapping[Unit, ResultRecord]

    @cached_property
    def regime(self) -> Regime:
        """Everything that any of its records was given; what failed before it saw an image does not say zero-shot."""
        given = [record.regime for record in self.records.values()]
        done = [record.regime for record in self.records.values() if record.status == "ok"]
        return Regime(
            transductive=any(regime.test_set for regime in given),
            anomalies=any(regime.anomalies for regime in given),
            tuned_per_category=any(regime.tuned_per_category for regime in given),
            class_names=any(regime.class_names for regime in given),
            zero_shot=bool(done) and all(regime.train_images == 0 for regime in done),
            shots=max((record.task.protocol.get("shots") or 0) for record in self.records.values()),
        )

    @property
    def random(self) -> bool:
        """Whether any of its weights were never trained."""
        return any(record.regime.random_weights for record in self.records.values())


@dataclass(frozen=True)
class Tidy:
    """All that a board's tables are made of.

    Attributes:
        categories, seeds: together, the units that a complete method has.
        methods: sorted by label.
        images: the `samples_sha` that counts on each unit.
        versions: the version of each metric that counts.
    """

    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    images: Mapping[Unit, str]
    versions: Mapping[str, int]

    @property
    def units(self) -> tuple[Unit, ...]:
        """Every category with every seed."""
        return tuple(Unit(category, seed) for category in self.categories for seed in self.seeds)

    def regimes(self) -> list[tuple[Regime, tuple[Method, ...]]]:
        """Methods that may be ranked together, the plainest regime first."""
        apart: dict[Regime, list[Method]] = defaultdict(list)
        for method in self.methods:
            apart[method.regime].append(method)
        return [(regime, tuple(apart[regime])) for regime in sorted(apart)]

    def readings(self, method: Method, metric: str) -> dict[Unit, Reading]:
        """What the method's records say of a metric, for each unit that it has a record of."""
        return {
            unit: self._reading(record, metric, unit)
            for unit in self.units
            if (record := method.records.get(unit)) is not None
        }

    def _reading(self, record: ResultRecord, metric: str, unit: Unit) -> Reading:
        if record.status != "ok":
            return Reading(None, record.status, plain(record.reason) or "no reason given")
        if record.task.samples_sha != self.images[unit]:
            return Reading(None, "other images", "its images differ from those of the other records; run it again")
        info = record.metrics.get(metric)
        if info is None:
            return Reading(None, "not measured", "run 'adbench evaluate' on its run")
        if info.version != self.versions[metric]:
            return Reading(
                None, "old metric", f"not version {self.versions[metric]}; run 'adbench evaluate' on its run"
            )
        return _value(info)


def _value(info: MetricInfo) -> Reading:
    return Reading(info.value) if info.value is not None else Reading(None, "n/a", plain(info.reason) or "undefined")


def tidy(board: Board, records: Sequence[ResultRecord]) -> Tidy:
    """Sort a board's records out. The order of the records does not matter.

    Args:
        board: says the categories and metrics.
        records: all belong to the board; one for each method and unit.
    """
    seeds = sorted({record.task.seed for record in records})
    known = sorted({record.task.category for record in records})
    return Tidy(
        categories=tuple(known) if board.categories is None else board.categories,
        seeds=tuple(seeds),
        methods=_methods(records),
        images=_images(records),
        versions=_versions(records),
    )


def method_key(record: ResultRecord) -> str:
    """Eight hexadecimal digits for the spec, which alone decides the score: records of one method share them."""
    return hash8(canonical_json(record.recipe.spec))


def method_name(records: Iterable[ResultRecord]) -> str:
    """What most records of a method call it; of equally many the first by alphabet."""
    names = Counter(record.recipe.name for record in records)
    return min(names, key=lambda name: (-names[name], name))


def unit_of(record: ResultRecord) -> Unit:
    """Category and seed."""
    return Unit(record.task.category, record.task.seed)


def _methods(records: Iterable[ResultRecord]) -> tuple[Method, ...]:
    by_key: dict[str, dict[Unit, ResultRecord]] = defaultdict(dict)
    for record in records:
        by_key[method_key(record)][unit_of(record)] = record
    names = {key: plain(method_name(units.values())) or "unnamed" for key, units in by_key.items()}
    shared = Counter(names.values())
    labels = {key: name if shared[name] == 1 else f"{name} ({key})" for key, name in names.items()}
    methods = [Method(labels[key], dict(sorted(units.items()))) for key, units in by_key.items()]
    return tuple(sorted(methods, key=lambda method: method.label))


def _images(records: Iterable[ResultRecord]) -> dict[Unit, str]:
    """For each unit the images that most finished records saw, of equally many the latest."""
    seen: dict[Unit, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in (each for each in records if each.status == "ok"):
        seen[unit_of(record)][record.task.samples_sha].append(record.provenance.started)
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
