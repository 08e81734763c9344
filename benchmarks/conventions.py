"""How far nine ways to compute AUPRO move the figure of one and the same result.

    python benchmarks/conventions.py RUN... --data FOLDER      finished runs, and the dataset they were made on

Maps, masks and scores are those of the run; only the convention differs: at which resolution, at which thresholds, with
which neighbours a region grows, which normal pixels count, and how the area is made a figure. The conventions are those
of published evaluation code; two are not fully published, and are taken as described in docs/aupro-conventions.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import integrate, ndimage

from adbench.api.curves.curve import curve_of_maps
from adbench.engine.evaluate.reproduce import evaluator_of
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.store.record import read_record
from adbench.registration.registry import installed

LIMIT = 0.3


class Ranked(NamedTuple):
    """All pixels of a test set under one convention, sorted ascending."""

    normals: np.ndarray
    positives: np.ndarray
    weights: np.ndarray
    """[P + 1] the part of all regions that scores at least as the p-th positive."""

    def rates(self, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """False positive rate and overlap where a pixel counts from each threshold on, from the highest down."""
        thresholds = np.sort(thresholds)[::-1]
        false = 1 - self.normals.searchsorted(thresholds) / len(self.normals)
        return false, self.weights[self.positives.searchsorted(thresholds)]

    @property
    def ends(self) -> tuple[float, float]:
        return (
            float(min(self.normals[0], self.positives[0])),
            float(max(self.normals[-1], self.positives[-1])),
        )


Thresholds = Callable[[Ranked], np.ndarray]
Area = Callable[[np.ndarray, np.ndarray], float]


def every(ranked: Ranked) -> np.ndarray:
    return np.unique(np.concatenate([ranked.positives, ranked.normals]))


def linear(count: int) -> Thresholds:
    return lambda ranked: np.linspace(*ranked.ends, count, endpoint=False)


def quantiles(count: int) -> Thresholds:
    return lambda ranked: np.quantile(np.concatenate([ranked.normals, ranked.positives]), np.linspace(0, 1, count))


def upto_limit(false: np.ndarray, overlap: np.ndarray) -> float:
    """From (0, 0) to the limit, where the curve is interpolated; divided by the limit."""
    false, overlap = np.append(0, np.append(false, 1)), np.append(0, np.append(overlap, 1))
    inside = false <= LIMIT
    x, y = np.append(false[inside], LIMIT), np.append(overlap[inside], np.interp(LIMIT, false, overlap))
    return float(integrate.trapezoid(y, x) / LIMIT)


def upto_limit_in_single_precision(false: np.ndarray, overlap: np.ndarray) -> float:
    return upto_limit(false.astype(np.float32), overlap.astype(np.float32))


def below_limit_over_largest(false: np.ndarray, overlap: np.ndarray) -> float:
    """Points strictly below the limit, none added; rates divided by the largest."""
    inside = false < LIMIT
    return float(integrate.trapezoid(overlap[inside], false[inside] / false[inside].max()))


def upto_limit_rescaled(false: np.ndarray, overlap: np.ndarray) -> float:
    """Points up to the limit, none added; rates stretched from 0 to 1."""
    x, y = false[false <= LIMIT], overlap[false <= LIMIT]
    return float(integrate.trapezoid(y, (x - x.min()) / (x.max() - x.min())))


@dataclass(frozen=True)
class Convention:
    """Who computes it so, and how."""

    who: str
    grid: int | None = None
    thresholds: Thresholds = every
    area: Area = upto_limit
    neighbours: int = 8
    good_images: bool = True
    crop: int = 0


CONVENTIONS = (
    Convention("MVTec, AnomalyDINO, adbench: every threshold, original size"),
    Convention("anomalib: every threshold, single precision, 256 px", 256, every, upto_limit_in_single_precision),
    Convention(
        "Dinomaly: 200 linear, strictly below 0.3, over the largest, 256 px", 256, linear(200), below_limit_over_largest
    ),
    Convention("MuSc, zqhang, ADer's option: 200 linear, rescaled, 256 px", 256, linear(200), upto_limit_rescaled),
    Convention("ADer's default: 50 bins, 256 px", 256, linear(50)),
    Convention("ADEval: 1000 bins, original size", None, linear(1000)),
    Convention("imgad: 500 quantiles, 4 neighbours, 256 px", 256, quantiles(500), neighbours=4),
    Convention("pyimgano: 200 quantiles, 256 px", 256, quantiles(200)),
    Convention("PatchCore's 'anomaly_pro': anomalous images only, 224 of 256 px", 256, good_images=False, crop=16),
)


def ranked(pairs: Iterable[tuple[np.ndarray, np.ndarray]], how: Convention) -> Ranked:
    """Sort all pixels, each positive with the inverse size of its region."""
    shape = np.ones((3, 3)) if how.neighbours == 8 else None
    inner = slice(how.crop, -how.crop or None)
    normals, positives, weights, regions = [], [], [], 0
    for scores, whole in pairs:
        mask, kept = whole[inner, inner], scores[inner, inner]
        if mask.any() or how.good_images:
            normals.append(kept[~mask])
        labels, count = ndimage.label(mask, structure=shape)
        regions += count
        positives.append(kept[mask])
        weights.append((1 / np.bincount(labels.ravel())[labels[mask]]) if count else np.zeros(0))
    found, weight = np.concatenate(positives), np.concatenate(weights)
    order = found.argsort()
    above = np.append(np.cumsum(weight[order][::-1])[::-1], 0) / regions
    return Ranked(np.sort(np.concatenate(normals)), found[order], above)


def figures(run: Path, data: str) -> dict[str, float]:
    """AUPRO of a run under each convention."""
    judge = evaluator_of(run, read_record(run), dataset_from(installed(), data))
    found = {}
    for how in CONVENTIONS:
        judged = replace(judge, grid=None if how.grid is None else (how.grid, how.grid))
        pixels = ranked(judged.masked_maps(), how)
        found[how.who] = 100 * how.area(*pixels.rates(how.thresholds(pixels)))
    exact = 100 * (curve_of_maps(replace(judge, grid=None).masked_maps).aupro(LIMIT) or 0)
    assert abs(exact - found[CONVENTIONS[0].who]) < 1e-6, "the script and adbench differ"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data", required=True, metavar="FOLDER")
    chosen = parser.parse_args()
    records = {run: read_record(run) for run in chosen.runs}
    table = {run: figures(run, chosen.data) for run in chosen.runs}
    names = [f"{record.task.category} s{record.task.seed}" for record in records.values()]
    print(f"{records[chosen.runs[0]].recipe.name}, AUPRO at 0.3 in percent, and points from the first line")
    print(f"{'':72}{''.join(f'{name:>22}' for name in names)}")
    for how in CONVENTIONS:
        own = [table[run][how.who] for run in chosen.runs]
        first = [table[run][CONVENTIONS[0].who] for run in chosen.runs]
        cells = (f"{value:13.2f} ({value - base:+6.2f})" for value, base in zip(own, first, strict=True))
        print(f"{how.who:72}{''.join(cells)}")


if __name__ == "__main__":
    main()
