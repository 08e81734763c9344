"""What a unit leaves beside its record: raw scores, details for the page, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adbench.api.metric import Evidence, Metric
from adbench.engine.evaluate.details import details_of, write_details
from adbench.engine.evaluate.evaluator import Evaluator
from adbench.engine.evaluate.threshold import Threshold, deploy, false_alarm_note
from adbench.engine.images.corruption_report import CorruptionReport
from adbench.engine.pictures.figures import draw
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.store.predictions import Predictions, write_predictions
from adbench.engine.store.record import ResultRecord


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
    """

    evaluator: Evaluator
    evidence: Evidence
    threshold: Threshold | None = None
    embedding: Sequence[tuple[float, float]] | None = None
    losses: Sequence[float] = ()
    corruptions: CorruptionReport | None = None

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
        later = {name: getattr(self, name) for name in ("threshold", "embedding", "corruptions")}
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
