"""The data of a board: its methods, and its records as one tidy table, whatever the order of the records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from adbench.boards.board import Board
from adbench.boards.records.keys import Place, UnitKey, method_key, most_common_images, place_of
from adbench.boards.tables.frame import READ_BY_TABLES, frame_of
from adbench.boards.tables.methods import MethodRow, RegimeGroup, method_rows
from adbench.engine.store.record import ResultRecord

if TYPE_CHECKING:
    import pandas as pd

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class BoardTruth:
    """Facts that no record decides.

    Attributes:
        unverified: ids of the records that were not verified by raw scores.
        images: the `samples_sha` that counts on a unit, for a number of shots.
        duplicates: test images of such a unit that are training images too; absent where no search was made.
        versions: of each metric, the one that counts.
    """

    unverified: frozenset[str] = frozenset()
    images: Mapping[Place, str] = field(default_factory=dict)
    duplicates: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
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
        truth: with the images of every unit and the version of every metric.
    """

    board: Board
    records: tuple[ResultRecord, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[MethodRow, ...]
    truth: BoardTruth
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def kept(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        """A value that is made once, because several tables of a board read it."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Kept = self._kept[key]
        return found

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The records of all methods as `frame_of` makes them, of its columns those that tables read, and two more.

        ``row`` is the method's key; ``strange`` is whether the record has other images than those that count.
        """
        import pandas as pd

        listed = [(method.key, record) for method in self.methods for record in method.records.values()]
        frame = frame_of((record for _, record in listed), READ_BY_TABLES)
        more = {"row": [key for key, _ in listed], "strange": [self.strange(record) for _, record in listed]}
        numbers = frame.index.to_numpy()
        columns = {name: pd.Series(values, dtype=object).to_numpy()[numbers] for name, values in more.items()}
        return frame.assign(**{name: pd.Series(column, frame.index, object) for name, column in columns.items()})

    def grid(self, methods: Sequence[MethodRow]) -> pd.MultiIndex:
        """Every unit of some methods: ``row``, ``category`` and ``seed``, in the order of the board."""
        import pandas as pd

        levels = [method.key for method in methods], self.categories, self.seeds
        indexes = [pd.Index(level, dtype=object) for level in levels]
        return pd.MultiIndex.from_product(indexes, names=["row", "category", "seed"])

    def strange(self, record: ResultRecord) -> bool:
        """Whether a finished record of the board has other images than those that count."""
        return record.status == "ok" and record.id in self._strange

    @cached_property
    def _strange(self) -> frozenset[str]:
        """The ids of records with other images than those that count."""
        counting, shas = self.truth.images, ((record, record.task.samples_sha) for record in self.records)
        return frozenset(record.id for record, sha in shas if counting.get(place_of(record), sha) != sha)

    def of_every_unit(self, method: MethodRow, known: Mapping[str, Kept]) -> list[Kept]:
        """What is known of each unit of a method, by category and seed; nothing if a unit lacks it or is strange.

        Args:
            method: of the board.
            known: by the id of a record.
        """
        units = [UnitKey(category, seed) for category in self.categories for seed in self.seeds]
        records = [method.records[unit] for unit in units if unit in method.records]
        found = [known[record.id] for record in records if record.id in known and not self.strange(record)]
        return found if len(found) == len(units) else []

    @cached_property
    def regimes(self) -> list[tuple[RegimeGroup, tuple[MethodRow, ...]]]:
        """Methods that may be ranked together, the plainest regime first."""
        older: dict[str, tuple[str, ...]] = defaultdict(tuple)
        newer: dict[str, tuple[str, ...]] = defaultdict(tuple)
        done = self.frame[(self.frame["status"] == "ok") & self.frame["metric"].isin(self.board.metrics)]
        for key, metric, version in done.groupby(["row", "metric", "metric_version"]).size().index:
            if version != self.truth.versions[metric]:
                others = older if version < self.truth.versions[metric] else newer
                others[key] += (f"{metric} {version}",)
        apart: dict[RegimeGroup, list[MethodRow]] = defaultdict(list)
        for method in self.methods:
            apart[replace(method.regime, outdated=older[method.key], unknown=newer[method.key])].append(method)
        return [(regime, tuple(apart[regime])) for regime in sorted(apart)]


def tidy(board: Board, records: Sequence[ResultRecord], truth: BoardTruth = _NOTHING_KNOWN) -> BoardData:
    """The data of a board's tables.

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
    images = {**most_common_images(measured), **truth.images}
    unmeasured = {} if len(measured) == len(records) else _versions(records)
    versions = {**unmeasured, **_versions(measured), **truth.versions}
    return BoardData(
        board=board,
        records=tuple(records),
        categories=tuple(dict.fromkeys(known if board.categories is None else board.categories)),
        seeds=tuple(sorted({record.task.seed for record in asked})),
        methods=method_rows(records, truth.unverified),
        truth=replace(truth, images=images, versions=versions),
    )


def _versions(records: Iterable[ResultRecord]) -> dict[str, int]:
    """The version of each metric that most finished records have, of equally many the newest."""
    done = (each for each in records if each.status == "ok")
    counts = Counter((name, info.version) for record in done for name, info in record.metrics.items())
    return {name: version for (name, version), _ in sorted(counts.items(), key=lambda item: (item[1], item[0][1]))}
