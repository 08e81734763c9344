"""Figures of one unit: a sheet of heatmaps, a histogram of image scores, ROC and PRO curves, for display only.

Scores are rescaled for display and nowhere else. The same input gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from adbench.engine.pictures.canvas import DEFECT, INK, NORMAL, PALE, new_figure, save, tidy_axes
from adbench.engine.pictures.heatmap_sheet import PAIRS_A_ROW, Panel, choose_extremes, sheet, shrunk, thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from adbench.api.curves.curve import Curve
    from adbench.api.dataset import Dataset, Sample
    from adbench.api.metric import Evidence
    from adbench.engine.evaluate.evaluator import Evaluator
    from adbench.engine.evaluate.threshold import Threshold

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SHEET, HISTOGRAM, CURVES, LOSSES = "sheet.png", "histogram.png", "curves.png", "losses.png"
LIMIT = 0.3
"""The usual limit of the false positive rate for AUPRO."""
_DASHED = (0, (4, 2))


def draw(
    evaluator: Evaluator,
    folder: Path,
    evidence: Evidence | None = None,
    threshold: Threshold | None = None,
    losses: Sequence[float] = (),
) -> None:
    """Write all pictures of a unit into a folder; no sheet for a method without maps, no losses without training.

    Args:
        evaluator: predictions and truth.
        folder: of the files.
        evidence: the evaluator's, if its curves are already computed.
        threshold: from normal images, for the histogram.
        losses: of each training step.

    Raises:
        StorageError: a file cannot be written.
    """
    evidence = evidence or evaluator.evidence()
    histogram(evidence.labels, evidence.scores, folder / HISTOGRAM, threshold)
    curves(evidence, folder / CURVES)
    if losses:
        training(losses, folder / LOSSES)
    if evaluator.predictions.patches is not None:
        chosen = choose_extremes(evidence.scores, evidence.labels, 4 * PAIRS_A_ROW)
        sheet([_panel(evaluator, index) for index in chosen], folder / SHEET)


def _panel(evaluator: Evaluator, index: int) -> Panel:
    sample = evaluator.samples[index]
    key = "small", evaluator.dataset, sample.id
    image = evaluator.cache.get_or_make(
        key, partial(_small, evaluator.dataset, sample), lambda small: int(small.nbytes)
    )
    score = float(evaluator.predictions.scores[index])
    return thumbnail(
        Panel(
            image,
            evaluator.map(index),
            evaluator.mask(index),
            sample.id,
            score,
            sample.anomalous,
            evaluator.foreground(index),
            evaluator.ignored(index),
        )
    )


def _small(dataset: Dataset, sample: Sample) -> Array:
    image = dataset.image(sample)
    return shrunk(image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8))


def histogram(labels: Array, scores: Array, path: Path, deployed: Threshold | None = None) -> None:
    """Draw the image scores of normal and defective images, the threshold with the highest F1 and the deployed one.

    Args:
        labels: [N] bool, True for a defect.
        scores: [N] image scores.
        path: the PNG file.
        deployed: a threshold that was set on normal images.

    Raises:
        StorageError: the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    from adbench.api.curves.curve import curve_of_scores

    labels, scores = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    figure = new_figure(8.4, 3.6)
    axes = figure.add_axes((0.08, 0.15, 0.9, 0.72))
    edges = np.histogram_bin_edges(scores, bins=30).tolist()
    for name, colour, chosen in (("normal", NORMAL, ~labels), ("defective", DEFECT, labels)):
        label = f"{name} ({int(chosen.sum())})"
        axes.hist(scores[chosen], edges, histtype="stepfilled", color=colour, alpha=0.55, edgecolor=colour, label=label)
    threshold = curve_of_scores(labels, scores).best_threshold
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=_DASHED, label=f"best F1 at {threshold:.4g}")
    if deployed is not None and deployed.value is not None:
        axes.axvline(deployed.value, color=INK, linewidth=1.6, label=f"deployed at {deployed.value:.4g}")
    tidy_axes(axes, "Image scores", "score", "images")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    beside_the_title = {"bbox_to_anchor": (1, 1), "borderaxespad": 0.2, "columnspacing": 1.2, "handlelength": 1.4}
    axes.legend(loc="lower right", ncols=4, frameon=False, fontsize=8.5, **beside_the_title)
    save(figure, path)


def curves(evidence: Evidence, path: Path) -> None:
    """Draw ROC curves of images and pixels, and the PRO curve with its limit.

    Args:
        evidence: truth and predictions of one test set.
        path: the PNG file.

    Raises:
        StorageError: the file cannot be written.
    """
    figure = new_figure(8.8, 4.3)
    left, right = figure.add_axes((0.07, 0.13, 0.4, 0.75)), figure.add_axes((0.57, 0.13, 0.4, 0.75))
    left.plot([0, 1], [0, 1], color=PALE, linewidth=0.8, linestyle=(0, (2, 3)))
    left.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    tidy_axes(left, "ROC", "false positive rate", "true positive rate")
    _draw_roc(left, evidence)
    right.set(xlim=(0, LIMIT * 1.35), ylim=(-0.01, 1.01))
    tidy_axes(right, "Per-region overlap (PRO)", "false positive rate", "mean overlap of the regions")
    _draw_pro(right, evidence.pixel_curve)
    save(figure, path)


def training(losses: Sequence[float], path: Path) -> None:
    """Draw the loss of each training step, and its running mean.

    Args:
        losses: finite, one a step.
        path: the PNG file.

    Raises:
        StorageError: the file cannot be written.
    """
    figure = new_figure(8.4, 3.6)
    axes = figure.add_axes((0.09, 0.15, 0.89, 0.72))
    values = np.asarray(losses, dtype=np.float64)
    width = max(1, len(values) // 50)
    mean = np.convolve(values, np.full(width, 1 / width), mode="valid")
    axes.plot(np.arange(1, len(values) + 1), values, color=PALE, linewidth=0.8, label="each step")
    label = f"mean of {width} steps" if width > 1 else "each step"
    axes.plot(np.arange(width, len(values) + 1), mean, color=NORMAL, linewidth=1.6, label=label)
    axes.set_ylim(*_span(values))
    tidy_axes(axes, f"Loss, {values[-1]:.4g} after {len(values)} steps", "step", "loss")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    save(figure, path)


def _span(values: Array) -> tuple[float, float]:
    """The range of the axis: all losses but for the highest 1 %, which the first steps often have."""
    lowest, highest = float(values.min()), float(np.quantile(values, 0.99))
    margin = 0.05 * (highest - lowest) or 0.05 * abs(highest) or 1.0
    return lowest - margin, highest + margin


def _draw_roc(axes: Axes, evidence: Evidence) -> None:
    missing = []
    for name, colour, curve in (("images", NORMAL, evidence.image_curve), ("pixels", DEFECT, evidence.pixel_curve)):
        if curve is None or curve.auroc is None:
            missing.append(f"{name}: {_why_not(curve)}")
            continue
        axes.plot(*curve.roc(), color=colour, linewidth=1.8, label=f"{name}, area {100 * curve.auroc:.1f} %")
    if len(missing) < 2:
        axes.legend(loc="lower right", fontsize=9, edgecolor="none", framealpha=0.9)
    _say(axes, missing)


def _draw_pro(axes: Axes, curve: Curve | None) -> None:
    area = None if curve is None else curve.aupro(LIMIT)
    if curve is None or area is None:
        _say(axes, [_why_not(curve)])
        return
    rate, overlap = curve.pro()
    inside = rate <= LIMIT
    filled = np.append(rate[inside], LIMIT), np.append(overlap[inside], np.interp(LIMIT, rate, overlap))
    axes.fill_between(*filled, color=DEFECT, alpha=0.15, linewidth=0)
    axes.plot(rate, overlap, color=DEFECT, linewidth=1.8, label=f"area to {LIMIT}: {100 * area:.1f} %")
    axes.axvline(LIMIT, color=INK, linewidth=1.2, linestyle=_DASHED, label=f"limit {LIMIT}")
    axes.legend(loc="lower right", fontsize=9, edgecolor="none", framealpha=0.9)


def _why_not(curve: Curve | None) -> str:
    return "the method gives no anomaly map" if curve is None else curve.undefined


def _say(axes: Axes, sentences: Sequence[str]) -> None:
    """Why something is not there, where it would have been."""
    text = "\n".join(sentences)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=PALE, fontsize=9, wrap=True)
