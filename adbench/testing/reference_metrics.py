"""Slow metrics that follow their definitions, as a reference for the fast ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import ndimage

from adbench import Evidence

Array = np.ndarray[Any, Any]


def auroc(labels: Array, scores: Array) -> float:
    """The share of pairs (anomalous, normal) that are in the right order; a tie counts half."""
    bad, good = scores[labels][:, None], scores[~labels][None, :]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def average_precision(labels: Array, scores: Array) -> float:
    """Precision at each distinct threshold, weighted by the recall that it adds."""
    total, recall = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        found = scores >= threshold
        reached = float(found[labels].mean())
        total, recall = total + (reached - recall) * float(labels[found].mean()), reached
    return total


def f1_max(labels: Array, scores: Array) -> float:
    """The best F1 of any threshold."""
    found = [scores >= threshold for threshold in np.unique(scores)]
    return max(float(2 * (hit & labels).sum() / (hit.sum() + labels.sum())) for hit in found)


def aupro(evidence: Evidence, limit: float) -> float:
    """Area under the curve of the mean per-region overlap over the false positive rate up to a limit, by that limit.

    Regions are 8-connected, per image; the false positive rate is over all normal pixels of the test set.
    """
    pairs = list(_maps(evidence))
    scores = np.concatenate([scored.ravel() for scored, _ in pairs])
    truth = np.concatenate([mask.ravel() for _, mask in pairs])
    regions = _regions([mask for _, mask in pairs])
    steps = [scores >= threshold for threshold in np.unique(scores)[::-1]]
    rates = np.array([0.0, *(found[~truth].mean() for found in steps)])
    overlaps = np.array([0.0, *(np.mean([found[region].mean() for region in regions]) for found in steps)])
    return _area(limit, rates, overlaps)


def spro(evidence: Evidence, limit: float) -> float:
    """The same area under the mean of min(detected pixels / saturation area, 1) over all regions of all images."""
    images = list(evidence.regions() if evidence.regions else ())
    scores = np.concatenate([scored.ravel() for scored, _ in images])
    normal = np.concatenate([~_marked(truth) for _, truth in images])
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(scores)[::-1]:
        rates.append(float((scores >= threshold)[normal].mean()))
        overlaps.append(float(np.mean(list(_saturated(images, threshold)))))
    return _area(limit, np.array(rates), np.array(overlaps))


def _saturated(images: list[Any], threshold: float) -> Iterator[float]:
    for scored, truth in images:
        for region in truth.regions:
            yield min((scored.ravel()[region.positions] >= threshold).sum() / region.saturation, 1.0)


def _marked(truth: Any) -> Array:
    marked = np.zeros(int(np.prod(truth.shape)), dtype=bool)
    for region in truth.regions:
        marked[region.positions] = True
    return marked


def _area(limit: float, rates: Array, overlaps: Array) -> float:
    """The area under a curve up to a limit, by that limit."""
    inside = rates <= limit
    x = np.append(rates[inside], limit)
    y = np.append(overlaps[inside], _at(limit, rates, overlaps))
    return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum() / 2 / limit)


def _at(limit: float, rates: Array, overlaps: Array) -> float:
    """The curve's height at the limit, on the straight line between the points around it."""
    after = int(np.argmax(rates > limit))
    before = after - 1
    share = (limit - rates[before]) / (rates[after] - rates[before])
    return float(overlaps[before] + share * (overlaps[after] - overlaps[before]))


def _regions(masks: list[Array]) -> list[Array]:
    """One selection of all the test set's pixels for each region."""
    regions, start, total = [], 0, sum(mask.size for mask in masks)
    for mask in masks:
        found, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            everywhere = np.zeros(total, dtype=bool)
            everywhere[start : start + mask.size] = (found == region).ravel()
            regions.append(everywhere)
        start += mask.size
    return regions


def _maps(evidence: Evidence) -> Any:
    assert evidence.maps is not None
    return evidence.maps()


def _specimens(evidence: Evidence) -> tuple[Array, Array]:
    """Label and score of each specimen, by the definition."""
    views: dict[str, list[int]] = {}
    for place, name in enumerate(evidence.specimens or ()):
        views.setdefault(name, []).append(place)
    labels = np.array([any(evidence.labels[place] for place in places) for places in views.values()])
    return labels, np.array([max(evidence.scores[place] for place in places) for places in views.values()])


def _pixels(evidence: Evidence) -> tuple[Array, Array]:
    pairs = list(_maps(evidence))
    return np.concatenate([m.ravel() for _, m in pairs]), np.concatenate([s.ravel() for s, _ in pairs])


def _f1_above(labels: Array, scores: Array, threshold: float) -> float:
    """F1 of the scores above a threshold."""
    hits = sum(bool(label) and score > threshold for label, score in zip(labels, scores, strict=True))
    wrong = sum(bool(label) != bool(score > threshold) for label, score in zip(labels, scores, strict=True))
    return float(2 * hits / (2 * hits + wrong))


def _said(evidence: Evidence) -> list[tuple[int, int]]:
    """The true and the most probable class of each image."""
    assert evidence.classes is not None
    rows = evidence.classes.probabilities.tolist()
    return [(int(true), row.index(max(row))) for true, row in zip(evidence.classes.truth, rows, strict=True)]


def balanced_accuracy(said: list[tuple[int, int]]) -> float:
    """The mean recall of the classes that have images, by the definition."""
    classes = {true for true, _ in said}
    recalls = [[one == other for one, other in said if one == true] for true in classes]
    return sum(sum(hits) / len(hits) for hits in recalls) / len(classes)


def f1_macro(said: list[tuple[int, int]]) -> float:
    """The mean F1 of the classes, by the definition."""
    classes = {one for pair in said for one in pair}
    hits = {one: sum(pair == (one, one) for pair in said) for one in classes}
    both = {one: sum(one == true for true, _ in said) + sum(one == other for _, other in said) for one in classes}
    return sum(2 * hits[one] / both[one] for one in classes) / len(classes)


KNOWN: dict[str, Callable[[Evidence], float]] = {
    "image-auroc": lambda given: auroc(given.labels, given.scores),
    "image-ap": lambda given: average_precision(given.labels, given.scores),
    "image-f1-max": lambda given: f1_max(given.labels, given.scores),
    "class-accuracy": lambda given: sum(true == said for true, said in _said(given)) / len(given.labels),
    "class-balanced-accuracy": lambda given: balanced_accuracy(_said(given)),
    "class-f1-macro": lambda given: f1_macro(_said(given)),
    "pixel-auroc": lambda given: auroc(*_pixels(given)),
    "pixel-ap": lambda given: average_precision(*_pixels(given)),
    "pixel-f1-max": lambda given: f1_max(*_pixels(given)),
    "sample-auroc": lambda given: auroc(*_specimens(given)),
    "pixel-seg-f1": lambda given: _f1_above(*_pixels(given), given.pixel_threshold or 0.0),
    "pixel-spro-05": lambda given: spro(given, 0.05),
    "pixel-aupro-30": lambda given: aupro(given, 0.3),
    "pixel-aupro-05": lambda given: aupro(given, 0.05),
}
"""The slow reference of each metric that has one, by the metric's name."""
