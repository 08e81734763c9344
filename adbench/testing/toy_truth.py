"""Small test sets with truth, for metrics, and a small table, for reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from adbench import Evidence
from adbench.api.curves.classes import ClassPredictions
from adbench.api.curves.regions import Region, RegionTruth
from adbench.reports import Table

if TYPE_CHECKING:
    from adbench.api.curves.regions import RegionMap
    from adbench.api.curves.truth import MaskedMap

Case = Literal["noisy", "ties", "perfect", "reversed", "constant", "no positives"]

TABLE = Table(
    title="Toy table",
    columns=("category", "image-auroc"),
    rows=(("bottle", "0.987"), ("screw", "0.654"), ("mean", "0.821")),
    notes=("Two categories.",),
)


def evidence(case: Case, order: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7), scale: float = 1.0) -> Evidence:
    """Eight images, four of them defective, of two sizes; defects touch at corners and lie at borders.

    Args:
        case: how scores go with the truth. ``"ties"`` has few levels; ``"no positives"`` has no defect at all.
        order: which image comes when.
        scale: what every score is multiplied by.
    """
    pairs = [_pair(case, image) for image in order]
    labels = np.array([bool(mask.any()) for _, mask in pairs])
    scores = np.concatenate([_scored(case, 200 + i, label[None]) for i, label in zip(order, labels, strict=True)])

    def maps() -> Iterator[MaskedMap]:
        yield from ((scored * np.float32(scale), mask) for scored, mask in pairs)

    def regions() -> Iterator[RegionMap]:
        yield from ((scored, _halves(mask)) for scored, mask in maps())

    scaled, views = scores * np.float32(scale), [f"specimen {image // 2}" for image in order]
    classes = _classes(labels, scores, order)
    return Evidence(labels, scaled, maps, regions=regions, specimens=views, pixel_threshold=scale, classes=classes)


def _classes(labels: np.ndarray, scores: np.ndarray, order: tuple[int, ...]) -> ClassPredictions:
    """Two types of defects, told apart in three of four images; the higher half of the scores counts as defective."""
    lower = (scores[None] < scores[:, None]).sum(1) + (scores[None] <= scores[:, None]).sum(1)
    defective = lower / (2 * len(scores))
    types = np.array([image // 6 for image in order])
    first = np.where(types == 0, 0.75, np.where(np.array(order) == 7, 0.75, 0.25))
    shares = np.stack([1 - defective, defective * first, defective * (1 - first)], 1)
    sharp = shares**8 / (shares**8).sum(1, keepdims=True)
    return ClassPredictions(("good", "first", "second"), sharp.astype(np.float32), np.where(labels, 1 + types, 0))


def _halves(mask: np.ndarray) -> RegionTruth:
    """The upper and the lower half of a defect, with a row in common; half of each saturates it."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return RegionTruth(mask.shape, ())
    upper, lower = mask.copy(), mask.copy()
    middle = rows[len(rows) // 2]
    upper[middle + 1 :] = lower[:middle] = False
    return RegionTruth(mask.shape, [Region.of(half, half.sum() // 2) for half in (upper, lower)])


def _pair(case: Case, image: int) -> MaskedMap:
    """Anomaly map and mask of one image."""
    mask = _mask(image) & (case != "no positives")
    return _scored(case, 100 + image, mask), mask


def _scored(case: Case, seed: int, truth: np.ndarray) -> np.ndarray:
    """Scores of some pixels, or of an image, that go with the truth as the case says."""
    noise = np.random.default_rng(seed).random(truth.shape)
    scored: np.ndarray = {
        "noisy": noise + 0.4 * truth,
        "ties": np.round(4 * (noise + 0.4 * truth)) / 4,
        "perfect": noise + 2 * truth,
        "reversed": noise - 2 * truth,
        "constant": np.full(truth.shape, 0.5),
        "no positives": noise,
    }[case].astype(np.float32)
    return scored


def _mask(image: int) -> np.ndarray:
    """Images 4 to 7 are defective: a region at the border, and one of two squares that touch at a corner."""
    mask = np.zeros((12, 10) if image % 2 else (9, 11), dtype=bool)
    if image >= 4:
        mask[1:3, 1:3] = mask[3:5, 3:5] = True
        mask[-2:, 2 - image :] = True
    return mask
