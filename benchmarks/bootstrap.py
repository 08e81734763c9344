"""How long confidence intervals take: 1,000 draws of a test set's images, beside measuring each draw anew.

    python benchmarks/bootstrap.py [--images 579] [--defective 388] [--side 320] [--draws 1000] [--naive 5]

Images are made up in the size of the magnetic tiles' test set: smooth maps with defects in them. A naive draw collects
the images that it took and measures them: with scikit-learn's AUROC, average precision and precision-recall curve for
images, with adbench's own exact curve for pixels (scikit-learn would have to hold all of them). Few such draws are
timed, and their figures compared with those of the same draws here.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from adbench.api.curves.curve import curve_of_annotated
from adbench.api.curves.truth import Truth
from adbench.engine.evaluate.bootstrap import IMAGE_FIGURES, PIXEL_FIGURES, intervals, levels_of_maps, levels_of_scores


class Tiles:
    """Maps that are made again at each walk from coarse ones, as the maps of a run are."""

    def __init__(self, images: int, defective: int, side: int) -> None:
        rng = np.random.default_rng(0)
        self.labels = np.arange(images) < defective
        self.truths = [self._truth(rng, side) if shown else Truth.nothing((side, side)) for shown in self.labels]
        self.coarse = [self._coarse(rng, truth).astype(np.float32) for truth in self.truths]
        self.scores = np.array([coarse.max() for coarse in self.coarse])

    @staticmethod
    def _truth(rng: np.random.Generator, side: int) -> Truth:
        mask = np.zeros((side, side), bool)
        for _ in range(rng.integers(1, 4)):
            top, left = rng.integers(0, side * 3 // 4, 2)
            height, width = rng.integers(side // 40, side // 6, 2)
            mask[top : top + height, left : left + width] = True
        truth = Truth.of(mask)
        truth.sizes  # noqa: B018 - as an evaluation has them
        return truth

    @staticmethod
    def _coarse(rng: np.random.Generator, truth: Truth) -> np.ndarray:
        shown = gaussian_filter(truth.mask.astype(float), 6)[::8, ::8]
        return gaussian_filter(rng.normal(size=shown.shape), 1) * 2 + 1.5 * shown + rng.normal(0, 0.2)

    def map(self, index: int) -> np.ndarray:
        fine: np.ndarray = np.repeat(np.repeat(self.coarse[index], 8, 0), 8, 1)
        ramp = np.linspace(0, 1e-3, fine.shape[0], dtype=np.float32)
        return fine + ramp[:, None] * ramp[::-1]  # so that hardly two pixels are alike

    def walk(self, taken=None):
        return (
            (self.map(index), self.truths[index]) for index in (range(len(self.truths)) if taken is None else taken)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = {"images": 579, "defective": 388, "side": 320, "draws": 1000, "naive": 5}
    for option, default in options.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    tiles = Tiles(given.images, given.defective, given.side)
    drawn = draws(tiles.labels, given.naive)
    print(f"| {given.draws} draws of {given.images} images | s | s, measured anew | ratio | figures differ by |")
    print("|---|---:|---:|---:|---:|")
    images(tiles, drawn, given.draws)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels(tiles, drawn, given.draws)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\npeak memory before the pixels {before >> 10} MB, after {after >> 10} MB")


def draws(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """Images [N] that each of so many draws took, of either kind as many as there are."""
    rng = np.random.default_rng(1)
    kinds = [np.flatnonzero(kind) for kind in (~labels, labels)]
    return [np.concatenate([rng.choice(kind, len(kind)) for kind in kinds]) for _ in range(count)]


def images(tiles: Tiles, drawn: list[np.ndarray], count: int) -> None:
    intervals(levels_of_scores(tiles.labels, tiles.scores), tiles.labels, IMAGE_FIGURES, 100)  # SciPy is imported
    spent, levels = timed(
        lambda: measured(levels_of_scores(tiles.labels, tiles.scores), tiles.labels, IMAGE_FIGURES, count)
    )
    alone, wanted = timed(lambda: [of_images(tiles.labels[taken], tiles.scores[taken]) for taken in drawn])
    row("image AUROC, AP, F1-max", spent, alone * count / len(drawn), off(levels, IMAGE_FIGURES, drawn, wanted))


def pixels(tiles: Tiles, drawn: list[np.ndarray], count: int) -> None:
    def work():
        levels, shown = levels_of_maps(tiles.walk, len(tiles.truths))
        return measured(levels, shown, PIXEL_FIGURES, count)

    spent, levels = timed(work)
    alone, wanted = timed(lambda: [of_pixels(tiles, taken) for taken in drawn])
    name = "pixel AUROC, AP, F1-max, AUPRO 0.3 and 0.05"
    row(name, spent, alone * count / len(drawn), off(levels, PIXEL_FIGURES, drawn, wanted))


def measured(levels, shown, figures, count):
    assert len(intervals(levels, shown, figures, count)) == len(figures)
    return levels


def of_images(labels: np.ndarray, scores: np.ndarray) -> list[float]:
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return [roc_auc_score(labels, scores), average_precision_score(labels, scores), f1.max()]


def of_pixels(tiles: Tiles, taken: np.ndarray) -> list[float]:
    curve = curve_of_annotated(lambda: tiles.walk(taken))
    return [curve.auroc, curve.average_precision, curve.f1_max, curve.aupro(0.3), curve.aupro(0.05)]


def off(levels, figures, drawn: list[np.ndarray], wanted: list[list[float]]) -> float:
    """The largest difference of any figure of any draw."""
    weights = np.stack([np.bincount(taken, minlength=levels.normals.shape[0]) for taken in drawn]).astype(float)
    curves = levels.drawn(weights)
    found = np.stack([figure(curves) for figure in figures.values()], axis=1)
    return float(np.abs(found - np.array(wanted)).max())


def timed(work):
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def row(name: str, spent: float, alone: float, differs: float) -> None:
    print(f"| {name} | {spent:.2f} | {alone:.0f} | {alone / spent:.0f}x | {differs:.1g} |", flush=True)


if __name__ == "__main__":
    main()
