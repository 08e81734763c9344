"""Methods on a board: the records of each row, its label, and the regime in which it may be ranked. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from adbench.boards.records.keys import UnitKey, method_name, row_key, short_keys, shots_of, unit_of
from adbench.boards.text import plain
from adbench.engine.store.record import ResultRecord

_USUAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""A name that a recipe can have."""
_OURS = str.maketrans({"(": "[", ")": "]", ",": ";"})


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
    all_categories: bool = False
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
            "one model for all categories": self.all_categories,
            f"{100 * self.contamination:g} % of the training images defective": self.contamination > 0,
            f"older metrics ({', '.join(self.outdated)})": bool(self.outdated),
            f"versions of metrics that are unknown here ({', '.join(self.unknown)})": bool(self.unknown),
            "unverified": self.unverified,
        }
        return ", ".join([learned, *(text for text, holds in traits.items() if holds)])


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
            all_categories=any(regime.all_categories for regime in given),
            contamination=max((regime.contamination for regime in given), default=0.0),
        )

    @property
    def random(self) -> bool:
        """Whether any of its weights were never trained."""
        return any(record.regime.random_weights for record in self.records.values())


class _Row(NamedTuple):
    """Spec, shots and verification, which the records of one row of a board share."""

    key: str
    shots: int
    unverified: bool


def method_rows(records: Iterable[ResultRecord], unverified: frozenset[str]) -> tuple[MethodRow, ...]:
    """The rows of a board, sorted by label.

    Args:
        records: one for each row and unit.
        unverified: ids of those that were not verified by raw scores; they make rows of their own.
    """
    rows: dict[_Row, dict[UnitKey, ResultRecord]] = defaultdict(dict)
    for record in records:
        rows[_Row(*row_key(record), record.id in unverified)][unit_of(record)] = record
    several = len({row.shots for row in rows}) > 1
    names = _names(rows)
    methods = []
    for row, units in rows.items():
        given = [*([f"{row.shots or 'full'}-shot"] if several else []), *(["unverified"] if row.unverified else [])]
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
