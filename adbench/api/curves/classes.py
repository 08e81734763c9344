"""Figures of classes: predicted probabilities of several classes against the true class of each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

BINS = 15
"""Bins of confidence of the calibration error (Guo et al., ICML 2017, arXiv 1706.04599)."""

ALPHA = 0.1
"""The share of images whose true class a conformal set may miss."""


class ConformalFigures(NamedTuple):
    """Figures of conformal sets of classes.

    Attributes:
        size: the mean number of classes in an image's set.
        coverage: the share of images whose set has their class.
        lowest: the same for the class where it is lowest.
    """

    size: float
    coverage: float
    lowest: float


@dataclass(frozen=True)
class ClassPredictions:
    """Predicted probabilities of classes, and the truth.

    >>> said = ClassPredictions(("good", "hole"), np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]), np.array([0, 1, 1]))
    >>> said.confusion.tolist(), said.balanced_accuracy
    ([[1, 0], [1, 1]], 0.75)

    Attributes:
        names: K names; the first class is normal.
        probabilities: [N, K] float, rows that add up to 1.
        truth: [N] int64, the true class of each image.
    """

    names: Sequence[str]
    probabilities: np.ndarray
    truth: np.ndarray

    @cached_property
    def confusion(self) -> np.ndarray:
        """[K, K] int64: how many images of the class of a row are said to be of the class of a column."""
        count = len(self.names)
        said = self.probabilities.argmax(1)
        return np.bincount(count * self.truth + said, minlength=count * count).reshape(count, count)

    @property
    def accuracy(self) -> float:
        """The share of images whose most probable class is their own."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def recalls(self) -> np.ndarray:
        """[K] float64: the share of each class's images that are said to be of it; NaN for a class without images."""
        images = self.confusion.sum(1)
        return np.where(images > 0, self.confusion.diagonal() / np.maximum(images, 1), np.nan)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images (as in scikit-learn)."""
        return float(np.nanmean(self.recalls))

    @property
    def f1_macro(self) -> float:
        """The mean F1 of the classes that have images or are said of some (as in scikit-learn)."""
        both = self.confusion.sum(0) + self.confusion.sum(1)
        return float((2 * self.confusion.diagonal() / np.maximum(both, 1))[both > 0].mean())

    def calibration_error(self, bins: int = BINS) -> float:
        """The expected calibration error (Guo et al., arXiv 1706.04599, Eq. 3).

        The mean over images of the difference between accuracy and mean confidence in their bin of confidence. A bin
        holds its upper edge.
        """
        confidence = self.probabilities.max(1).astype(np.float64)
        right = self.probabilities.argmax(1) == self.truth
        places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        differences = np.bincount(places, weights=right - confidence, minlength=bins)
        return float(np.abs(differences).sum() / len(right))

    def conformal(self, alpha: float = ALPHA) -> ConformalFigures:
        """Figures of the sets of classes that miss the truth in a share `alpha` of images (split conformal prediction).

        The score of a class is 1 - its probability. The set of an image has the classes whose score is at most the
        ceil((1 - alpha)(n + 1))-th smallest score of the true classes of the n other images; all classes where there
        are too few others (Angelopoulos and Bates, arXiv 2107.07511, section 1). Every image is judged by all others,
        whose labels somebody who deploys a method would need.
        """
        scores = 1 - self.probabilities.astype(np.float64)
        own = scores[np.arange(len(scores)), self.truth]
        limits = _limits(own, alpha)
        inside = own <= limits
        covered = [inside[self.truth == one].mean() for one in np.unique(self.truth)]
        return ConformalFigures(
            float((scores <= limits[:, None]).sum(1).mean()), float(inside.mean()), float(min(covered))
        )


def _limits(scores: np.ndarray, alpha: float) -> np.ndarray:
    """[N]: for each image the conformal quantile of the scores [N] of all others; infinite where they are too few."""
    count = len(scores)
    place = math.ceil(round((1 - alpha) * count, 9))  # of n + 1 = count images
    if place > count - 1:
        return np.full(count, np.inf)
    ordered = np.sort(scores)
    limits: np.ndarray = np.where(scores <= ordered[place - 1], ordered[place], ordered[place - 1])
    return limits
