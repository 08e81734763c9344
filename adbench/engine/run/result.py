"""The result of a unit: predictions joined with the truth, and what the unit leaves beside its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from adbench.api.bounded_cache import BoundedCache
from adbench.api.metric import Evidence, Metric
from adbench.api.search.shared_results import SharedResults, digest_of
from adbench.engine.evaluate.details import details_of, write_details
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.evaluate.threshold import Threshold, deploy, false_alarm_note
from adbench.engine.images.corruption_report import CorruptionReport
from adbench.engine.images.drift_report import DriftReport
from adbench.engine.pictures.embedding import embed
from adbench.engine.pictures.figures import draw
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.run.predicting import UnitPredictions
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.predictions import Predictions, write_predictions
from adbench.engine.store.record import MetricInfo, ResultRecord


@dataclass(frozen=True)
class Result:
    """What came of a unit that ended well.

    Attributes:
        evaluator: predictions and truth.
        evidence: of the evaluator, whose curves are made once.
        threshold: the threshold from normal images, with its figures on the test set; None where none is wanted.
        embedding: a point for each test image; None where no page will show it.
        losses: of each step of a trained bank.
        corruptions: the report of corrupted test images; None where none is wanted.
        drifts: the reports of streams that change slowly; None where none is wanted.
    """

    evaluator: Evaluator
    evidence: Evidence
    threshold: Threshold | None = None
    embedding: Sequence[tuple[float, float]] | None = None
    losses: Sequence[float] = ()
    corruptions: CorruptionReport | None = None
    drifts: Sequence[DriftReport] | None = None

    def notes(self) -> tuple[str, ...]:
        """Sentences that a person should read beside the figures."""
        normal_images = int((~self.evidence.labels).sum())
        note = "" if self.threshold is None else false_alarm_note(self.threshold, normal_images)
        return (note,) if note else ()

    def write(self, folder: Path, record: ResultRecord, metrics: Iterable[Metric], *, figures: bool) -> ResultRecord:
        """Write it into a run's folder.

        Returns:
            The record, which now names the raw scores.

        Raises:
            StorageError: disk full or read-only.
        """
        info = write_predictions(folder, _to_keep(self.evaluator.predictions))
        if figures:
            draw(self.evaluator, folder, self.evidence, self.threshold, self.losses)
        found = details_of(record.id, self.evaluator, metrics, self.evidence)
        later = {name: getattr(self, name) for name in ("threshold", "embedding", "corruptions", "drifts")}
        write_details(folder, found.model_copy(update=later))
        return record.model_copy(update={"predictions": info})


def _to_keep(predictions: Predictions) -> Predictions:
    """Without normal scores that were not made: the reason holds for one rule, what is in the file for all of them."""
    normal = predictions.normal
    return predictions if normal is None or normal.made else replace(predictions, normal=None)


def deployed(evaluator: Evaluator, evidence: Evidence, rule: Rule) -> Threshold | None:
    """The threshold that a rule makes of the normal scores of a method; None where no threshold is wanted."""
    normal = evaluator.predictions.normal
    return None if normal is None else deploy(rule, normal, evidence.labels, evidence.scores)


@dataclass
class ResultMaker:
    """Makes the results of units that are evaluated on the same images.

    Attributes:
        settings: how units run.
        shared: results that units share; points of pages are among them.
        images: masks and small pictures of test images, read for earlier units.
    """

    settings: Settings
    shared: SharedResults
    images: BoundedCache = field(default_factory=BoundedCache)

    def result(self, unit: PreparedUnit, predictions: Predictions, vectors: Sequence[np.ndarray]) -> Result:
        """Join predictions and truth.

        Args:
            unit: what was run.
            predictions: of its test images.
            vectors: a vector of each test image that is a point on the page; empty for no points.
        """
        evaluator, rule = self._evaluator(unit, predictions), self.settings.threshold
        evidence = evaluator.evidence()
        threshold = deployed(evaluator, evidence, rule) if rule else None
        return Result(evaluator, evidence, threshold, self._points(vectors) if vectors else None)

    def measured(
        self, unit: PreparedUnit, predicted: UnitPredictions, normal: NormalScores | None, metrics: Sequence[Metric]
    ) -> tuple[Result, dict[str, MetricInfo]]:
        """The result of a unit and its metrics; the record's builder gets the facts, and the unit's clock the time.

        Args:
            unit: what was run.
            predicted: what it said of its test images.
            normal: the scores of normal images that a threshold follows from, where one is wanted.
            metrics: which are measured.
        """
        with unit.clock.measure("evaluate"):
            joined = self.result(unit, replace(predicted.predictions, normal=normal), predicted.vectors)
            result = replace(joined, losses=predicted.losses)
            found = measure(metrics, result.evidence)
            unit.builder.facts = {**unit.builder.facts, **result.evaluator.facts()}
        return result, found

    def _evaluator(self, unit: PreparedUnit, predictions: Predictions) -> Evaluator:
        return Evaluator(
            unit.unit.dataset,
            unit.task.test,
            predictions,
            unit.unit.recipe.map or MapSpec(),
            unit.unit.protocol.grid,
            device=self.settings.device,
            workers=self.settings.workers,
            cache=self.images,
        )

    def _points(self, vectors: Sequence[np.ndarray]) -> Sequence[tuple[float, float]] | None:
        """A point on the page for each image; None where `embed` gives none."""
        key = "t-SNE", digest_of(torch.from_numpy(np.stack(vectors)))
        return self.shared.once(key, lambda: embed(vectors), lambda _: 16 * len(vectors))
