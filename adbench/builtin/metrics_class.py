"""Figures of methods that say which type of defect an image shows: are the classes right?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from adbench import Evidence, Measure, Metric

if TYPE_CHECKING:
    from adbench.metrics import ClassPredictions


class _ClassMetric(Metric):
    """Reads one figure off the predicted classes."""

    level = "image"
    needs = frozenset({"classes"})

    def measure(self, evidence: Evidence) -> Measure:
        if evidence.classes is None:
            return Measure(None, "the method gives no probabilities of classes")
        if evidence.image_curve.undefined:
            return Measure(None, evidence.image_curve.undefined)
        return Measure(self._figure(evidence.classes))

    @staticmethod
    @abstractmethod
    def _figure(classes: ClassPredictions) -> float: ...


class ClassAccuracy(_ClassMetric):
    """Share of images whose most probable class is the right one: normal, or their type of defect."""

    name = "class-accuracy"

    @staticmethod
    def _figure(classes: ClassPredictions) -> float:
        return classes.accuracy


class ClassBalancedAccuracy(_ClassMetric):
    """Mean over the classes of the share of their images that are classified right (as in scikit-learn)."""

    name = "class-balanced-accuracy"

    @staticmethod
    def _figure(classes: ClassPredictions) -> float:
        return classes.balanced_accuracy


class ClassF1Macro(_ClassMetric):
    """Mean F1 of the classes, each as important as the others (as in scikit-learn)."""

    name = "class-f1-macro"

    @staticmethod
    def _figure(classes: ClassPredictions) -> float:
        return classes.f1_macro
