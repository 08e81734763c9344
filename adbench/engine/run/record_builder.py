"""A record in the making: identity, folder, and what is known of a unit however it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from adbench.api.backbone import Weights
from adbench.api.component import Component
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.plan.aliases import with_ids
from adbench.engine.plan.protocol import Task
from adbench.engine.plan.recipe import part_infos, spec_of
from adbench.engine.plan.regime import given_by, names_a_category
from adbench.engine.plan.unit import Unit
from adbench.engine.process.error_text import MOST_OF_A_REASON, bounded
from adbench.engine.process.location import place
from adbench.engine.store.provenance import provenance_of
from adbench.engine.store.record import (
    Cost,
    MetricInfo,
    RecipeInfo,
    Regime,
    ResultRecord,
    Status,
    TaskInfo,
    canonical_json,
    identity,
    read_record,
)
from adbench.engine.store.run_index import ID, folder_of
from adbench.errors import StorageError
from adbench.registration.registry import Registry

Components = Mapping[str, list[Component]]
_NONE: Mapping[str, MetricInfo] = {}
DETECTOR_FILE = "detector.adbench"
"""The file of the fitted detector in a run's folder, if somebody asked for it."""


@dataclass(frozen=True)
class UnitOutcome:
    """How a unit ended.

    Attributes:
        record: always there, for a failure too.
        folder: where it is, or would have been.
        fresh: False when it ended before.
        unsaved: why it could not be written, if so.
        notes: what plugins' trackers complained of.
        threshold: what a threshold from normal images does, if one was asked for and the unit ended now.
        no_detector: why no detector is in the folder, if one was asked for.
    """

    record: ResultRecord
    folder: Path
    fresh: bool = True
    unsaved: StorageError | None = None
    notes: tuple[str, ...] = ()
    threshold: Threshold | None = None
    no_detector: str = ""

    @classmethod
    def ended_before(cls, record: ResultRecord, folder: Path, *, save: bool) -> UnitOutcome:
        """The outcome of a unit that does not run again.

        Args:
            record: of the earlier run.
            folder: of the earlier run.
            save: whether its detector is asked for.
        """
        lacks = save and record.status == "ok" and not (folder / DETECTOR_FILE).exists()
        why = "the unit ended before without a detector; give --redo with --save to fit it again" if lacks else ""
        return cls(record, folder, fresh=False, no_detector=why)

    @property
    def detector(self) -> Path | None:
        """The file of the detector beside the record; None where there is none."""
        file = self.folder / DETECTOR_FILE
        return file if self.well and file.exists() else None

    @property
    def title(self) -> str:
        """For people."""
        task = self.record.task
        return f"{self.record.recipe.name} on {task.category}, seed {task.seed}"

    @property
    def well(self) -> bool:
        """Whether there is a result, and it is safe."""
        return self.record.status == "ok" and self.unsaved is None

    def to_json(self) -> dict[str, Any]:
        """For the process that asked for it."""
        return {
            "record": self.record.to_json(),
            "folder": str(self.folder),
            "fresh": self.fresh,
            "threshold": None if self.threshold is None else self.threshold.model_dump(),
            "unsaved": None if self.unsaved is None else str(self.unsaved),
            "notes": list(self.notes),
            "no_detector": self.no_detector,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UnitOutcome:
        """What `to_json` gave."""
        unsaved = None if data["unsaved"] is None else StorageError(data["unsaved"])
        record = ResultRecord.model_validate(data["record"])
        threshold = None if data["threshold"] is None else Threshold.model_validate(data["threshold"])
        folder, notes = place(data["folder"]), tuple(data["notes"])
        return cls(record, folder, data["fresh"], unsaved, notes, threshold, data["no_detector"])


@dataclass
class RecordBuilder:
    """A record in the making.

    Attributes:
        passed_over: files of the category that the dataset has not read; None where it cannot say.

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
    runtime: str = "torch"
    facts: Mapping[str, float] = field(default_factory=dict)
    drew: bool | None = None
    passed_over: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    spec: dict[str, Any] = field(init=False)
    _folder: tuple[str, Path] | None = None

    def __post_init__(self) -> None:
        self.spec = spec_of(self.unit.recipe, self.components)  # once: it reads the files that options name

    @property
    def id(self) -> str:
        """sha256 of what decides the score."""
        return self._identity(self.task.sha)

    @property
    def former_id(self) -> str:
        """The id that the same unit had before records of schema 3."""
        return self._identity(self.task.former_sha)

    def _identity(self, samples_sha: str) -> str:
        unit = self.unit
        return identity(
            canonical_json(self.spec), unit.category, samples_sha, unit.protocol.model_dump(mode="json"), unit.seed
        )

    @property
    def folder(self) -> Path:
        """Readable and unique: category, recipe, seed and the start of the id.

        The same unit may have been run under another name of its recipe; then it is that run's folder. `record` looks
        whether another process has put it there in the meantime.
        """
        key = self.id
        if self._folder is None or self._folder[0] != key:
            words = f"{self.unit.category}-{self.unit.recipe.name}-s{self.unit.seed}"
            name = f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', words)[:80].lstrip('.')}-{key[:ID]}"
            self._folder = key, folder_of(self.out, name, self.former_id)
        return self._folder[1]

    def record(self) -> ResultRecord | None:
        """The record of an earlier run, however it ended."""
        self._folder = None
        try:
            record = read_record(self.folder)
        except StorageError:
            return None
        return record if record.id == self.id else None

    def has_result(self) -> bool:
        """Whether an earlier run ended well; a failure, of ``redo``, never takes the place of its record."""
        record = self.record()
        return record is not None and record.status == "ok"

    def done(self, cost: Cost, metrics: Mapping[str, MetricInfo]) -> ResultRecord:
        """The record of a unit that ended well."""
        return self._record("ok", cost=cost, metrics=metrics)

    def failed(self, status: Status, reason: str) -> ResultRecord:
        """The record of a unit that did not. A reason that names images by alias comes to name them by id."""
        return self._record(status, reason=bounded(with_ids(reason, self.task.aliases), MOST_OF_A_REASON))

    def _record(
        self, status: Status, *, reason: str = "", cost: Cost | None = None, metrics: Mapping[str, MetricInfo] = _NONE
    ) -> ResultRecord:
        unit = self.unit
        recipe = RecipeInfo(name=unit.recipe.name, spec=self.spec, parts=part_infos(self.components, self.registry))
        dists = [part.dist for part in recipe.parts]
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
                duplicates=list(self.task.duplicates) if self.task.sha else None,
                exemplars=[sample.id for sample in self.task.exemplars],
            ),
            regime=self._regime(),
            metrics=dict(metrics),
            cost=cost,
            facts={**self.facts, **({} if self.passed_over is None else {"files_passed_over": self.passed_over})},
            drew=self.drew,
            predictions=None,
            provenance=provenance_of(self.device, self.runtime, self.weights, dists, self.started),
        )

    def _regime(self) -> Regime:
        unit, task = self.unit, self.task
        return Regime(
            **given_by(self.components, unit.protocol, task.train),
            tuned_per_category=names_a_category(self.spec, unit.dataset.categories()),
            tuned_on_test=unit.dataset.board_name in unit.recipe.tuned_on,
            random_weights=any(item.random for item in self.weights),
        )
