"""The report of a method on corrupted test images: figures of each corruption and strength, beside the clean ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adbench.engine.images.corruption import KNOWN, VERSION, Corruption
from adbench.engine.images.pooling import mean_of_all, sum_of_all

SIDE = 256
"""Side of the square on which maps are compared, where the protocol's grid is the original one: fifty evaluations at
the original resolution would take longer than everything else."""
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
    values = {name: mean_of_all([figures.metrics[name] for figures in clean]) for name in names}
    yield PooledFigures("", 0, values, sum_of_all(one.false_alarms for one in clean), normals)
    for corruption in KNOWN:
        found = [figures for report in reports if (figures := report.of(*corruption)) is not None]
        if len(found) == len(reports):
            pairs = list(zip(clean, found, strict=True))
            drops = {name: mean_of_all([drop(before, after, name) for before, after in pairs]) for name in names}
            yield PooledFigures(*corruption, drops, sum_of_all(one.false_alarms for one in found), normals)


def alike(reports: Sequence[CorruptionReport]) -> bool:
    """Whether figures of these reports may be pooled: one version of the corruptions, and one grid."""
    return len({(report.version, report.grid) for report in reports}) == 1
