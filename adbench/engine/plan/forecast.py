"""How long units will take, from records of what they took before."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adbench.engine.plan.plan import Branch
from adbench.engine.store.record import Cost, ResultRecord


@dataclass(frozen=True)
class Estimate:
    """Seconds, and how many of the units they do not cover because nothing like them was run before."""

    seconds: float
    unknown: int


@dataclass
class Forecast:
    """What past records say of the time an image: to look at it by backbone, all the rest by recipe.

    Only records of one device should be given: times of another say nothing here.
    """

    look: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rest: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, records: Iterable[ResultRecord]) -> Forecast:
        """From records of units that ended well."""
        forecast = cls()
        for record in records:
            images = record.task.train + record.task.test
            if record.cost is not None and images:
                looking = record.cost.extract_s + record.cost.test_extract_s
                forecast.look[_backbone(record)].append(looking / images)
                forecast.rest[record.recipe.name].append(_rest(record.cost, looking) / images)
        return forecast

    def branch(self, branch: Branch, images: Sequence[int]) -> Estimate:
        """What is left of a branch: a look at its images, once, and the rest of each unit.

        Args:
            branch: units that are still to be run.
            images: how many each of them has.
        """
        unit = branch.units[0]
        seconds, unknown = 0.0, 0
        if looks := self.look.get(unit.recipe.backbone.name):
            seconds += statistics.median(looks) * max(images)
        for left, count in zip(branch.units, images, strict=True):
            if past := self.rest.get(left.recipe.name):
                seconds += statistics.median(past) * count
            else:
                unknown += 1
        return Estimate(seconds, unknown)


def _backbone(record: ResultRecord) -> str:
    parts = record.recipe.spec.get("backbone")
    return str(parts[0].get("name")) if isinstance(parts, list) and parts and isinstance(parts[0], dict) else ""


def _rest(cost: Cost, looking: float) -> float:
    return max(0.0, cost.fit_s + cost.test_s - looking) + cost.evaluate_s + cost.threshold_s
