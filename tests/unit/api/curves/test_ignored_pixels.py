"""Ignored pixels count as nothing: figures are those of the other pixels alone, on the CPU and by torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from adbench.api.curves.curve import curve_of_annotated, curve_of_scores
from adbench.api.curves.regions import Region, RegionTruth, curve_of_regions
from adbench.api.curves.truth import Truth
from adbench.engine.evaluate.bootstrap import levels_of_maps
from adbench.engine.evaluate.device_curve import curve_on_device
from adbench.engine.evaluate.ignoring import lowest_where, on_evaluation_grid, regions_within, without_ignored


@st.composite
def images(draw):
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        shape = 6, 7
        scores = rng.integers(0, draw(st.sampled_from([3, 40])), shape).astype(np.float32)
        mask, ignored = rng.random(shape) < 0.3, rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.6]))
        found.append((scores, mask, ignored))
    return found


def pro_by_hand(found, limit):
    """AUPRO over every threshold, by counting."""
    kept = [(scores, mask & ~ignored, ~mask & ~ignored) for scores, mask, ignored in found]
    regions = []
    for index, (scores, mask, _) in enumerate(kept):
        numbered, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [scores[numbered == number] for number in range(1, count + 1)]
        assert index < len(found)
    normal = np.concatenate([scores[good] for scores, _, good in kept])
    points = [(0.0, 0.0)]
    for threshold in np.unique(np.concatenate([scores.ravel() for scores, _, _ in kept]))[::-1]:
        overlap = np.mean([(region >= threshold).mean() for region in regions])
        points.append((float((normal >= threshold).mean()), float(overlap)))
    x, y = np.array(points).T
    inside = x <= limit
    x, y = np.append(x[inside], limit), np.append(y[inside], np.interp(limit, x, y))
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum()) / limit


@settings(deadline=None, max_examples=60)
@given(images())
def test_figures_are_those_of_the_pixels_that_are_looked_at(found):
    truths = [Truth.of(mask, ignored) for _, mask, ignored in found]
    curve = curve_of_annotated(lambda: zip([scores for scores, _, _ in found], truths, strict=True))
    labels = np.concatenate([mask[~ignored] for _, mask, ignored in found])
    scores = np.concatenate([scores[~ignored] for scores, _, ignored in found])
    plain = curve_of_scores(labels, scores)
    assert (curve.positives, curve.negatives) == (plain.positives, plain.negatives)
    assert (curve.auroc, curve.average_precision, curve.f1_max) == (plain.auroc, plain.average_precision, plain.f1_max)
    if curve.undefined:
        return
    assert curve.aupro(0.3) == pytest.approx(pro_by_hand(found, 0.3))
    batch = torch.from_numpy(np.stack([scores for scores, _, _ in found]))
    device = curve_on_device(lambda: iter([(batch, truths)]), "cpu")
    assert (device.positives, device.negatives) == (curve.positives, curve.negatives)
    assert device.auroc == pytest.approx(curve.auroc)
    assert device.aupro(0.3) == pytest.approx(curve.aupro(0.3))
    levels, _ = levels_of_maps(lambda: zip([scores for scores, _, _ in found], truths, strict=True), len(found))
    assert levels.normals.sum() == curve.negatives
    assert levels.positives.sum() == curve.positives


def test_saturated_regions_leave_ignored_pixels_out():
    scores = np.arange(16, dtype=np.float32).reshape(4, 4)
    ignored = np.zeros((4, 4), bool)
    ignored[3, 2:] = True
    mask = np.zeros((4, 4), bool)
    mask[2:] = True
    region = without_ignored(Region.of(mask, 4), ignored)
    assert (region.positions.size, region.saturation) == (6, 3)
    assert without_ignored(Region.of(ignored), ignored) is None
    truth = RegionTruth((4, 4), [region], np.flatnonzero(ignored).astype(np.int32))
    curve = curve_of_regions(lambda: iter([(scores, truth)]))
    assert (curve.positives, curve.negatives) == (3, 8)


def test_defects_that_lie_wholly_in_ignored_pixels_are_counted():
    mask, ignored = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    mask[1, 1] = mask[1, 5] = mask[5, 5:7] = True
    ignored[:3] = ignored[5, 5] = True
    assert regions_within(mask, ignored) == 2
    assert regions_within(mask, np.zeros_like(ignored)) == 0


def test_ignored_pixels_on_a_coarse_grid_and_in_maps():
    ignored = np.zeros((4, 4), bool)
    ignored[:2, :2] = True
    assert on_evaluation_grid(ignored, None) is ignored
    assert on_evaluation_grid(ignored, (2, 2)).tolist() == [[True, False], [False, False]]
    scores = np.array([[9.0, 2.0], [3.0, 4.0]], np.float32)
    small = on_evaluation_grid(ignored, (2, 2))
    assert lowest_where(scores, small).tolist() == [[2, 2], [3, 4]]
    assert lowest_where(scores, None) is scores
