"""The report of a method on a stream that changes slowly: figures of each window, without and with updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adbench.engine.images.corruption import VERSION, Corruption
from adbench.engine.images.drifting import DRIFT_VERSION
from adbench.engine.images.pooling import mean_of_all, sum_of_all

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowFigures(_Model):
    """Figures of a detector on the images of one window."""

    auroc: Annotated[float, Field(ge=0, le=1)] | None = Field(description="of image scores; null without both labels")
    false_alarms: _Count | None = Field(description="normal images above the threshold; null without a threshold")
    found: _Count | None = Field(description="defective images above the threshold; null without a threshold")


class DriftWindow(_Model):
    """One window of the stream."""

    begin: _Finite = Field(ge=0, le=5, description="level of the corruption at its first image")
    end: _Finite = Field(ge=0, le=5, description="level of the corruption at its last image")
    frozen: WindowFigures
    updated: WindowFigures | None = Field(None, description="of a detector that learned from earlier windows")
    added: _Count = Field(0, description="images of this window that were learned from after it")
    added_defective: _Count = Field(0, description="how many of them show a defect, which the rule could not know")


class DriftReport(_Model):
    """The report of one unit on one stream."""

    version: int = Field(ge=1, description="of the streams")
    corruptions: int = Field(ge=1, description="version of the corruptions")
    corruption: str = Field(pattern=r"^[a-z][a-z-]{0,31}$")
    strength: int = Field(ge=1, le=5, description="at the end of the stream")
    threshold: _Finite | None = Field(description="from clean normal training images; it is never set again")
    normals: int = Field(ge=0, description="number of normal test images, each in every window")
    defective: int = Field(ge=0, description="number of defective test images, each in every window")
    clean: WindowFigures
    windows: list[DriftWindow] = Field(min_length=1, max_length=100)
    frozen_why: str = Field("", max_length=500, description="why there are no updates; empty if there are")

    @property
    def key(self) -> tuple[int, int, str, int, int]:
        """What reports have to share to be pooled."""
        return self.version, self.corruptions, self.corruption, self.strength, len(self.windows)


def holds_drifts(reports: Sequence[DriftReport], wanted: Sequence[Corruption]) -> bool:
    """Whether reports have the figures of these streams, as they are today."""
    today = [report for report in reports if (report.version, report.corruptions) == (DRIFT_VERSION, VERSION)]
    return {(report.corruption, report.strength) for report in today}.issuperset(wanted)


class PooledWindow(NamedTuple):
    """Figures of several units in one window.

    Attributes:
        auroc: the mean over the units; None where a unit has none.
        alarms, found: sums over the units; None where a unit has no threshold, or no updates.
    """

    auroc: float | None
    alarms: int | None
    found: int | None


class PooledStream(NamedTuple):
    """Figures of several units on streams of one kind.

    Attributes:
        name, strength: of the corruption.
        normals, defective: sums over the units.
        clean: of the clean test images.
        levels: begin and end of each window.
        frozen: of each window.
        updated: of each window; empty if a unit has no updates.
        added: images and defective images that were learned from, after each window.
    """

    name: str
    strength: int
    normals: int
    defective: int
    clean: PooledWindow
    levels: Sequence[tuple[float, float]]
    frozen: Sequence[PooledWindow]
    updated: Sequence[PooledWindow]
    added: Sequence[tuple[int, int]]


def pooled_drifts(units: Sequence[Sequence[DriftReport]]) -> Iterator[PooledStream]:
    """The figures on each stream that all units have, in the order of the first unit.

    Args:
        units: the reports of each unit, of at least one.
    """
    by_key = [{report.key: report for report in reports} for reports in units]
    for key in by_key[0]:
        found = [reports[key] for reports in by_key if key in reports]
        if len(found) == len(units):
            yield _pooled(found)


def _pooled(reports: Sequence[DriftReport]) -> PooledStream:
    first, rows = reports[0], list(zip(*(report.windows for report in reports), strict=True))
    frozen = [_mean([window.frozen for window in row]) for row in rows]
    updates = [[window.updated for window in row if window.updated is not None] for row in rows]
    complete = all(len(row) == len(reports) for row in updates)
    return PooledStream(
        name=first.corruption,
        strength=first.strength,
        normals=sum(report.normals for report in reports),
        defective=sum(report.defective for report in reports),
        clean=_mean([report.clean for report in reports]),
        levels=[(window.begin, window.end) for window in first.windows],
        frozen=frozen,
        updated=[_mean(row) for row in updates] if complete else [],
        added=[(sum(one.added for one in row), sum(one.added_defective for one in row)) for row in rows],
    )


def _mean(figures: Sequence[WindowFigures]) -> PooledWindow:
    return PooledWindow(
        mean_of_all(one.auroc for one in figures),
        sum_of_all(one.false_alarms for one in figures),
        sum_of_all(one.found for one in figures),
    )
