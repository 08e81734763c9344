"""Scores, curves and points of a method's images, small enough for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.records.corners import thinned
from adbench.boards.tables.methods import MethodRow
from adbench.boards.text import plain
from adbench.engine.evaluate.details import Details
from adbench.engine.store.record import ResultRecord, canonical_json

_NEAR = 1.0
"""Thousandths of a curve's width: a third of a pixel on a page, so that a corner that is nearer shows nothing."""

_DIGITS = 5
"""Significant digits of an image's score: two images that look alike here need not tie in a metric."""


@dataclass
class Pool:
    """Values that many methods share, each held once; a method refers to them by number.

    Attributes:
        values: by number.
        size: of all of them as JSON, in bytes.
    """

    values: list[Any] = field(default_factory=list)
    size: int = 0
    _places: dict[str, int] = field(default_factory=dict)

    def place(self, value: Any) -> int:
        """The number of a JSON value."""
        key = canonical_json(value)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
            self.size += len(key)
        return self._places[key]

    def forget(self, after: int) -> None:
        """Drop all values from a number on: what refers to them is not shown."""
        for key in [key for key, place in self._places.items() if place >= after]:
            del self._places[key]
            self.size -= len(key)
        del self.values[after:]


@dataclass
class Shared:
    """Values that the methods of a page share.

    Attributes:
        lines: of recipes.
        tests: test images of a category: `{"ids": [...], "defects": [...]}`.
        points: embeddings, which methods of one backbone share.
        photographs: addresses of test images.
    """

    lines: Pool = field(default_factory=Pool)
    tests: Pool = field(default_factory=Pool)
    points: Pool = field(default_factory=Pool)
    photographs: Pool = field(default_factory=Pool)

    @property
    def _pools(self) -> tuple[Pool, ...]:
        return self.lines, self.tests, self.points, self.photographs

    @property
    def size(self) -> int:
        """Size of all values as JSON, in bytes."""
        return sum(pool.size for pool in self._pools)

    def mark(self) -> tuple[int, ...]:
        """The present state, for `back_to`."""
        return tuple(len(pool.values) for pool in self._pools)

    def back_to(self, mark: tuple[int, ...]) -> None:
        """Drop all values that were added since a mark."""
        for pool, after in zip(self._pools, mark, strict=True):
            pool.forget(after)

    def to_json(self) -> dict[str, Any]:
        """Values by number."""
        named = {"photographs": self.photographs.values} if self.photographs.values else {}
        return {"lines": self.lines.values, "tests": self.tests.values, "points": self.points.values, **named}


def detail_of(
    method: MethodRow, categories: Sequence[str], metrics: Sequence[str], extras: BoardExtras, shared: Shared
) -> dict[str, Any]:
    """By category the details of the method's first seed that has any; empty if none has.

    Args:
        method: whose records are looked up.
        categories: of the board.
        metrics: of the board.
        extras: of the board.
        shared: takes what other methods have too.
    """
    found = {}
    for category in categories:
        units = sorted(unit for unit in method.records if unit.category == category)
        known = ((unit, details) for unit in units if (details := extras.details_of(method.records[unit].id)))
        for unit, details in islice(known, 1):
            found[category] = _unit_json(method.records[unit], details, metrics, shared)
    return found


def _unit_json(record: ResultRecord, detail: Details, metrics: Sequence[str], shared: Shared) -> dict[str, Any]:
    images = detail.images
    figures = [record.metrics.get(metric) for metric in metrics]
    tests = {"ids": [plain(image.id) for image in images], "defects": [plain(image.defect) for image in images]}
    points = detail.embedding
    return {
        "seed": record.task.seed,
        "figures": [None if info is None else _percent(info.value) for info in figures],
        "intervals": [info and info.interval and [_percent(end) for end in info.interval] for info in figures],
        "test": shared.tests.place(tests),
        "scores": [float(f"{image.score:.{_DIGITS}g}") for image in images],
        "defects": {
            plain(kind): [_percent(values.get(metric)) for metric in metrics]
            for kind, values in sorted(detail.by_defect.items())
        },
        "roc": _corners(detail.curves.roc),
        "pro": _corners(detail.curves.pro),
        "points": None if points is None else shared.points.place(_on_a_grid(points)),
        "threshold": None if detail.threshold is None else detail.threshold.model_dump(),
    }


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 1)


def _corners(curve: Sequence[tuple[float, float]]) -> list[list[int]]:
    """A curve in thousandths, without corners that a page cannot show: `[x..., ], [y...]`."""
    corners = thinned(list(dict.fromkeys((round(1000 * x), round(1000 * y)) for x, y in curve)), _NEAR)
    return [[x for x, _ in corners], [y for _, y in corners]]


def _on_a_grid(points: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Points [N, 2], N at least 1, scaled to 0 to 999; one scale for both axes, since distances are what they show."""
    columns = list(zip(*points, strict=True))
    span = max(max(column) - min(column) for column in columns) or 1.0
    return [[round(999 * (value - min(column)) / span) for value in column] for column in columns]
