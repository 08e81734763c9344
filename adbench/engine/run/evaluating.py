"""From the predictions of a unit to its result: truth, curves, threshold and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from adbench.api.bounded_cache import BoundedCache
from adbench.api.metric import Metric
from adbench.api.search.shared_results import SharedResults, digest_of
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.pictures.embedding import embed
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.settings import Settings
from adbench.engine.run.predicting import UnitPredictions
from adbench.engine.run.prepared_unit import PreparedUnit
from adbench.engine.run.result import Result, deployed
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.predictions import Predictions
from adbench.engine.store.record import MetricInfo


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
