"""A record in the making: identity, folder, and what is known of a unit however it ends."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from adbench.api.backbone import Weights
from adbench.api.bank import Source
from adbench.api.component import Component
from adbench.api.dataset import Dataset
from adbench.engine.compat import learns_from
from adbench.engine.protocol import Protocol, Task
from adbench.engine.provenance import provenance_of
from adbench.engine.record import (
    Cost,
    MetricInfo,
    RecipeInfo,
    Regime,
    ResultRecord,
    Status,
    TaskInfo,
    canonical_json,
    read_record,
)
from adbench.engine.spec import Recipe, part_infos, spec_of
from adbench.errors import StorageError
from adbench.registry import Registry

Components = Mapping[str, list[Component]]
_NONE: Mapping[str, MetricInfo] = {}


@dataclass(frozen=True)
class Unit:
    """One complete recipe on one category with one seed."""

    recipe: Recipe
    dataset: Dataset
    category: str
    seed: int
    protocol: Protocol

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.recipe.name} on {self.category}, seed {self.seed}"


@dataclass
class Draft:
    """A record in the making.

    Raises:
        UsageError: a file that an option names cannot be read.
    """

    unit: Unit
    components: Components
    registry: Registry
    out: Path
    device: str
    task: Task = field(default_factory=lambda: Task((), (), ""))
    weights: Sequence[Weights] = ()
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    spec: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.spec = spec_of(self.unit.recipe, self.components)  # once: it reads the files that options name

    @property
    def id(self) -> str:
        """sha256 of what decides the score."""
        task = {
            "category": self.unit.category,
            "samples": self.task.sha,
            "protocol": self.unit.protocol.model_dump(mode="json"),
            "seed": self.unit.seed,
        }
        return hashlib.sha256(canonical_json({"recipe": self.spec, "task": task}).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Readable and unique: category, recipe, seed and the start of the id."""
        words = f"{self.unit.category}-{self.unit.recipe.name}-s{self.unit.seed}"
        return self.out / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', words)[:80].lstrip('.')}-{self.id[:12]}"

    def finished(self) -> ResultRecord | None:
        """The record of an earlier run that ended well."""
        try:
            record = read_record(self.folder)
        except StorageError:
            return None
        return record if record.id == self.id and record.status == "ok" else None

    def done(self, cost: Cost, metrics: Mapping[str, MetricInfo]) -> ResultRecord:
        """The record of a unit that ended well."""
        return self._record("ok", cost=cost, metrics=metrics)

    def failed(self, status: Status, reason: str) -> ResultRecord:
        """The record of a unit that did not."""
        return self._record(status, reason=reason)

    def _record(
        self, status: Status, *, reason: str = "", cost: Cost | None = None, metrics: Mapping[str, MetricInfo] = _NONE
    ) -> ResultRecord:
        unit = self.unit
        recipe = RecipeInfo(name=unit.recipe.name, spec=self.spec, parts=part_infos(self.components, self.registry))
        return ResultRecord(
            id=self.id,
            status=status,
            reason=reason,
            recipe=recipe,
            task=TaskInfo(
                dataset=unit.dataset.board_name,
                revision=unit.dataset.revision(),
                category=unit.category,
                seed=unit.seed,
                protocol=unit.protocol.model_dump(mode="json"),
                train=len(self.task.train),
                test=len(self.task.test),
                samples_sha=self.task.sha,
                skipped=list(self.task.skipped),
            ),
            regime=_regime(unit, self.task, self.components, self.weights),
            metrics=dict(metrics),
            cost=cost,
            predictions=None,
            provenance=provenance_of(self.device, self.weights, [part.dist for part in recipe.parts], self.started),
        )


def _regime(unit: Unit, task: Task, components: Components, weights: Sequence[Weights]) -> Regime:
    sources = learns_from(components)
    told = unit.protocol.class_names and any(
        "class_name" in part.needs for parts in components.values() for part in parts
    )
    return Regime(
        train_images=len(task.train) if Source.TRAIN in sources else 0,
        test_set=Source.TEST in sources,
        class_names=told,
        anomalies=False,
        tuned_per_category=False,
        random_weights=any(item.random for item in weights),
    )
