"""The report of a method on corrupted test images: figures of each corruption and strength, beside the clean ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adbench.engine.images.corruption import KNOWN, VERSION, Corruption

SIDE = 256
"""Side of the square on which maps are compared, where the protocol's grid is the original one: fifty evaluations at
the original resolution would take longer than everything else."""
_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SetFigures(_Model):
    """Figures of one version of the test images."""

    metrics: dict[str, _Finite | None] = Field(max_length=100, description="fractions, to 6 decimals")
    false_alarms: int | None = Field(
        None, ge=0, description="normal images above the clean threshold; null without a threshold"
    )


class CorruptedFigures(SetFigures):
    """Figures of the test images under one corruption in one strength."""

    corruption: str = Field(pattern=r"^[a-z][a-z-]{0,31}$")
    strength: int = Field(ge=1, le=5)


class CorruptionReport(_Model):
    """The report of one unit."""

    version: int = Field(ge=1, description="of the corruptions")
    grid: tuple[int, int] = Field(description="height and width of the maps that pixel metrics compare")
    threshold: _Finite | None = Field(description="from clean normal training images")
    normals: int = Field(ge=0, description="number of normal test images")
    clean: SetFigures
    corrupted: list[CorruptedFigures] = Field(max_length=len(KNOWN))

    def holds(self, wanted: Sequence[Corruption]) -> bool:
        """Whether it has the figures of these corruptions, as they are today."""
        found = {(one.corruption, one.strength) for one in self.corrupted}
        return self.version == VERSION and found.issuperset(wanted)

    def of(self, name: str, strength: int) -> SetFigures | None:
        """The figures under a corruption; None if it was not measured."""
        return next((one for one in self.corrupted if (one.corruption, one.strength) == (name, strength)), None)


def drop(clean: SetFigures, corrupted: SetFigures, metric: str) -> float | None:
    """The loss of a metric under a corruption, a fraction; negative for a gain, None where one figure is undefined."""
    before, after = clean.metrics.get(metric), corrupted.metrics.get(metric)
    return None if before is None or after is None else before - after


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson's score interval (Brown, Cai, DasGupta, Statistical Science 16, 2001).

    Args:
        count: how many of `total` are counted, from 0 to all.
        total: at least 1.
    """
    share, room = count / total, _Z**2 / total
    middle = (share + room / 2) / (1 + room)
    half = _Z / (1 + room) * math.sqrt(share * (1 - share) / total + room / (4 * total))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return low, 1.0 if count == total else min(1.0, middle + half)


class PooledFigures(NamedTuple):
    """Figures of several units under one corruption.

    Attributes:
        name, strength: of the corruption; the name is empty for the clean images.
        drops: mean loss of each metric over the units, a fraction; of clean images the metric itself. None where a
            unit has no figure.
        alarms, normals: sums over the units; alarms is None where a unit has no threshold.
    """

    name: str
    strength: int
    drops: Mapping[str, float | None]
    alarms: int | None
    normals: int


def pooled(reports: Sequence[CorruptionReport]) -> Iterator[PooledFigures]:
    """The clean figures of some units, then those under each corruption that all of them have.

    Args:
        reports: of one version and one grid, at least one.
    """
    normals = sum(report.normals for report in reports)
    names = [name for name in reports[0].clean.metrics if all(name in report.clean.metrics for report in reports)]
    clean = [report.clean for report in reports]
    values = {name: _mean([figures.metrics[name] for figures in clean]) for name in names}
    yield PooledFigures("", 0, values, _sum(clean), normals)
    for corruption in KNOWN:
        found = [figures for report in reports if (figures := report.of(*corruption)) is not None]
        if len(found) == len(reports):
            pairs = list(zip(clean, found, strict=True))
            drops = {name: _mean([drop(before, after, name) for before, after in pairs]) for name in names}
            yield PooledFigures(*corruption, drops, _sum(found), normals)


def alike(reports: Sequence[CorruptionReport]) -> bool:
    """Whether figures of these reports may be pooled: one version of the corruptions, and one grid."""
    return len({(report.version, report.grid) for report in reports}) == 1


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _sum(figures: Sequence[SetFigures]) -> int | None:
    known = [one.false_alarms for one in figures if one.false_alarms is not None]
    return sum(known) if len(known) == len(figures) else None
