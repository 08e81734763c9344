"""A forecast of the time of units, from past records."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adbench.engine.plan.plan import Branch
from adbench.engine.store.record import Cost, ResultRecord


@dataclass(frozen=True)
class Estimate:
    """An estimate in seconds, and the number of units that it does not cover because no such unit has run."""

    seconds: float
    unknown: int


@dataclass
class Forecast:
    """A forecast from times for each image: of the features by backbone, of all other work by recipe.

    Give only records of one device, because times of different devices cannot be compared.
    """

    extraction: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rest: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, records: Iterable[ResultRecord]) -> Forecast:
        """The forecast from records of successful units."""
        forecast = cls()
        for record in records:
            images = record.task.train + record.task.test
            if record.cost is not None and images:
                extraction = record.cost.extract_s + record.cost.test_extract_s
                forecast.extraction[_backbone(record)].append(extraction / images)
                forecast.rest[record.recipe.name].append(_rest(record.cost, extraction) / images)
        return forecast

    def branch(self, branch: Branch, images: Sequence[int]) -> Estimate:
        """The estimate for the units of a branch: one pass of the backbone, and the other work of each unit.

        Args:
            branch: units that will run.
            images: the number of images of each unit.
        """
        unit = branch.units[0]
        seconds, unknown = 0.0, 0
        if times := self.extraction.get(unit.recipe.backbone.name):
            seconds += statistics.median(times) * max(images)
        for left, count in zip(branch.units, images, strict=True):
            if past := self.rest.get(left.recipe.name):
                seconds += statistics.median(past) * count
            else:
                unknown += 1
        return Estimate(seconds, unknown)


def _backbone(record: ResultRecord) -> str:
    parts = record.recipe.spec.get("backbone")
    return str(parts[0].get("name")) if isinstance(parts, list) and parts and isinstance(parts[0], dict) else ""


def _rest(cost: Cost, extraction: float) -> float:
    return max(0.0, cost.fit_s + cost.test_s - extraction) + cost.evaluate_s + cost.threshold_s
