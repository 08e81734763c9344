"""Figures of methods: means over categories and seeds with their spread and interval, or marks where there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from adbench.boards.records.merging import ROUNDING
from adbench.boards.tables.tidy import BoardData
from adbench.boards.text import plain
from adbench.engine.images.pooling import share_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DASH = "—"
FIXED = "det."
UNDEFINED = "n/a"


@dataclass(frozen=True)
class Figure:
    """One cell of a table.

    Attributes:
        mean: a fraction; None unless all units are done and none is undefined.
        spread: over seeds; None with one seed.
        mark: shown instead of a mean.
        interval: of 95 % confidence over draws of the test images; None unless all units have one.
        fixed: whether every seed gives the same, so that a spread means nothing.
    """

    mean: float | None
    spread: float | None = None
    mark: str = ""
    interval: tuple[float, float] | None = None
    fixed: bool = False

    def __str__(self) -> str:
        if self.mean is None:
            return self.mark
        spread = "" if self.spread is None else f" {FIXED}" if self.fixed else f" ± {percent(self.spread)}"
        interval = "" if self.interval is None else " [{}, {}]".format(*map(percent, self.interval))
        return f"{percent(self.mean)}{spread}{interval}"


def percent(fraction: float) -> str:
    """One decimal, as the field writes it."""
    return f"{100 * fraction:.1f}"


def share_cell(count: int | None, total: int) -> str:
    """A share in percent with its 95 % interval over draws of what was counted; a mark where there is none."""
    found = share_of(count, total)
    return UNDEFINED if found is None else "{} [{}, {}]".format(*map(percent, found))


class MetricFigures(NamedTuple):
    """A metric on a board.

    Attributes:
        overall: over all units, by the key of the method.
        by_category: over all seeds, by the key of the method and the category.
        marked: key of the method, category, mark and reason of each record whose figure is undefined or does not count.
    """

    overall: dict[str, Figure]
    by_category: dict[tuple[str, str], Figure]
    marked: list[tuple[str, str, str, str]]


def figures_of(data: BoardData, metric: str) -> MetricFigures:
    """The figures of all methods of a board."""
    return data.kept(("figures", metric), lambda: _figures_of(data, metric))


def _figures_of(data: BoardData, metric: str) -> MetricFigures:
    cells, keys = _cells(data, metric), [method.key for method in data.methods]
    marked, version = cells[~cells["mark"].isin(["", DASH])], data.truth.versions.get(metric)
    return MetricFigures(
        dict(zip(keys, figures(cells), strict=True)),
        dict(zip(product(keys, data.categories), figures(cells, by_category=True), strict=True)),
        [
            (key, category, mark, _reason(mark, note, version))
            for (key, category, _), mark, note in marked[["mark", "note"]].itertuples()
        ],
    )


def _cells(data: BoardData, metric: str) -> pd.DataFrame:
    """A metric of every method on every unit, as `figures` takes them; ``note`` is the reason in the record."""
    import pandas as pd

    measured = data.frame.loc[data.frame["metric"] == metric, ["value", "low", "high", "metric_version", "note"]]
    found = data.kept(("units",), lambda: _units(data)).join(measured, on="number")
    mark = pd.Series("", found.index, dtype=object).case_when(
        [
            (found["status"] != "ok", found["status"]),
            (found["strange"], "other images"),
            (found["metric_version"].isna(), "not measured"),
            (found["metric_version"] != data.truth.versions.get(metric), "old metric"),
            (found["value"].isna(), UNDEFINED),
        ]
    )
    return found.assign(mark=mark, note=found["note"].fillna(found["failure"]))


def _units(data: BoardData) -> pd.DataFrame:
    """The record of every method on every unit, of which ``number`` is the place in the board's frame."""
    import pandas as pd

    units = data.grid(data.methods)
    records = data.frame[~data.frame.index.duplicated()].reset_index(names="number")
    found = records.set_index(units.names).reindex(units)
    return pd.DataFrame(
        {
            "number": found["number"].fillna(-1).astype(int),
            "status": found["status"].fillna(DASH),
            "failure": found["note"],
            "strange": found["strange"].eq(True),
            "fixed": found["images"].where(found["drew"].eq(False), ""),
        }
    )


def _reason(mark: str, note: str, version: int | None) -> str:
    """The sentence behind a mark."""
    evaluate = "run 'adbench evaluate' on its run"
    reasons = {
        "other images": "its images are not those of the board; run it again",
        "not measured": f"the method gives nothing that it reads, or else {evaluate}",
        "old metric": f"not version {version}; {evaluate}",
    }
    return reasons.get(mark) or plain(note) or ("undefined" if mark == UNDEFINED else "no reason given")


def figures(cells: pd.DataFrame, *, by_category: bool = False) -> list[Figure]:
    """The figure of each method; a mark unless every cell of it is done and defined.

    Args:
        cells: of `BoardData.grid`. ``value``, ``low`` and ``high``, fractions; or a ``mark``: "n/a" where the figure is
            undefined, another where the unit is not done. ``fixed`` is the hash of the images if nothing was drawn at
            random, so that every seed gives the same on them; else empty.
        by_category: whether each category of a method has a figure of its own.
    """
    import numpy as np

    methods, categories, seeds = cells.index.levshape
    shape = (methods * categories, 1, seeds) if by_category else (methods, categories, seeds)
    if cells.empty:
        return [Figure(None, mark=UNDEFINED)] * shape[0]
    columns = (cells[name].to_numpy().reshape(shape) for name in ("value", "low", "high", "mark", "fixed"))
    value, low, high, mark, fixed = columns
    by_seed = _means(value.swapaxes(1, 2))
    mean = _means(by_seed)
    spread = np.sqrt(_sums((by_seed - mean[:, None]) ** 2) / (seeds - 1 or math.nan))
    alike = ((fixed == fixed[:, :, :1]) & (fixed != "")).all(axis=(1, 2)) & (np.ptp(by_seed, axis=1) <= ROUNDING)
    below, above = mean - _reach(value - low), mean + _reach(high - value)
    rows = (array.tolist() for array in (mean, spread, np.maximum(0.0, below), np.minimum(1.0, above), alike))
    return [_figure(*row) for row in zip(_marks(mark.reshape(shape[0], -1)), *rows, strict=True)]


def _figure(mark: str, mean: float, spread: float, low: float, high: float, fixed: bool) -> Figure:
    if mark:
        return Figure(None, mark=mark)
    return Figure(mean, None if math.isnan(spread) else spread, "", None if math.isnan(low) else (low, high), fixed)


def _reach(distances: np.ndarray) -> np.ndarray:
    """How far an end of a mean's interval is from it, by the distances in its parts: groups, categories and seeds.

    Categories are independent: the squares of their distances add up (MOVER: Zou and Donner, Statistics in Medicine 27,
    2008). Seeds of a category share its images: their distances are averaged, as if their errors were the same.
    """
    import numpy as np

    if np.isnan(distances).all():  # a board without intervals
        return np.full(len(distances), math.nan)
    reach: np.ndarray = np.sqrt(_sums(_means(distances) ** 2)) / distances.shape[1]
    return reach


def _marks(marks: np.ndarray) -> list[str]:
    """The mark of each row of units; empty where every unit is done and defined."""
    units, undefined = marks.shape[1], marks == UNDEFINED
    done, one = ((marks == "") | undefined).sum(axis=1), (marks == marks[:, :1]).all(axis=1)
    return [
        (UNDEFINED if any_undefined else "") if count == units else _incomplete(mark if alike else DASH, count, units)
        for mark, alike, count, any_undefined in zip(marks[:, 0], one, done, undefined.any(axis=1), strict=True)
    ]


def _incomplete(mark: str, done: int, units: int) -> str:
    return mark if units == 1 else f"{mark} {done}/{units}"


def _means(values: np.ndarray) -> np.ndarray:
    means: np.ndarray = _sums(values) / values.shape[-1]
    return means


def _sums(values: np.ndarray) -> np.ndarray:
    """Exact sums along the last axis; the sums of pandas and NumPy move the last bit of one figure in six."""
    import numpy as np

    rows = values.reshape(-1, values.shape[-1]).tolist()
    return np.array([math.fsum(row) for row in rows]).reshape(values.shape[:-1])
