"""What a GPU computes, computed by the same code on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adbench import ContractError
from adbench.api.curves.curve import curve_of_maps
from adbench.api.curves.truth import Truth
from adbench.engine.evaluate import device_curve
from adbench.engine.evaluate.device_curve import curve_on_device, running


def some_maps(seed, *, levels=None, defects=0.2):
    """Six maps in batches of one and of two; `levels` rounds the scores so that many are equal."""
    rng = np.random.default_rng(seed)
    shapes = [(1, 9, 7), (2, 8, 8), (1, 5, 9), (2, 8, 8)]
    batches = []
    for shape in shapes:
        masks = rng.random(shape) < defects * (rng.random((shape[0], 1, 1)) < 0.8)
        scores = rng.normal(size=shape) + 1.5 * masks
        batches.append(((np.round(scores * levels) / levels if levels else scores).astype(np.float32), masks))
    return batches


def on_host(batches):
    return curve_of_maps(lambda: (pair for maps, masks in batches for pair in zip(maps, masks, strict=True)))


def on_device(batches):
    walk = [(torch.from_numpy(maps), [Truth.of(mask) for mask in masks]) for maps, masks in batches]
    return curve_on_device(lambda: iter(walk), "cpu")


def assert_equal(one, other):
    assert (one.positives, one.negatives) == (other.positives, other.negatives)
    assert one.best_threshold == other.best_threshold
    for name in ("auroc", "average_precision", "f1_max"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12, rel=0)
    for step in range(1, 1001):
        assert one.aupro(step / 1000) == pytest.approx(other.aupro(step / 1000), abs=1e-12, rel=0)
    for mine, yours in zip((*one.roc(), *one.pro()), (*other.roc(), *other.pro()), strict=True):
        np.testing.assert_allclose(mine, yours, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [None, 1, 4])
def test_figures_and_points_are_those_of_the_host(seed, levels):
    batches = some_maps(seed, levels=levels)
    assert_equal(on_device(batches), on_host(batches))


@pytest.mark.slow
@pytest.mark.parametrize(("positives", "pixels", "block", "row"), [(1, 1, 1, 2), (7, 50, 5, 4), (40, 10**6, 2, 4096)])
@pytest.mark.parametrize("levels", [None, 2])
def test_memory_limits_do_not_change_a_figure(monkeypatch, positives, pixels, block, row, levels):
    batches = some_maps(1, levels=levels)
    whole = on_host(batches)
    for name, value in {"HELD_POSITIVES": positives, "HELD_PIXELS": pixels, "BLOCK": block, "_ROW": row}.items():
        monkeypatch.setattr(device_curve, name, value)
    assert_equal_figures(on_device(batches), whole)


def assert_equal_figures(one, other):
    assert one.best_threshold == other.best_threshold
    assert one.auroc == pytest.approx(other.auroc, abs=1e-12, rel=0)
    assert one.average_precision == pytest.approx(other.average_precision, abs=1e-12, rel=0)
    assert one.aupro(0.3) == pytest.approx(other.aupro(0.3), abs=1e-12, rel=0)


def test_both_zeros_are_one_score():
    maps = np.array([[[0.0, -0.0, 1.0, -1.0]]], dtype=np.float32)
    batches = [(maps, np.array([[[True, False, True, False]]]))]
    assert_equal(on_device(batches), on_host(batches))
    assert on_device(batches).auroc == 0.875


@pytest.mark.parametrize(("defects", "missing"), [(0.0, "anomalous pixel"), (2.0, "normal pixel")])
def test_a_missing_class_leaves_figures_undefined(defects, missing):
    mask = np.full((1, 3, 3), defects > 1)
    curve = on_device([(np.zeros((1, 3, 3), np.float32), mask)])
    assert curve.auroc is None
    assert missing in curve.undefined


def test_a_score_that_is_not_finite_is_refused():
    batches = some_maps(0)
    batches[1][0][1, 2, 3] = np.nan
    with pytest.raises(ContractError, match="NaN or infinity"):
        on_device(batches)


def test_a_map_that_does_not_fit_its_mask_is_refused():
    with pytest.raises(ContractError, match="as large as their masks"):
        curve_on_device(lambda: iter([(torch.zeros(1, 2, 3), [Truth.nothing((3, 2))])]), "cpu")


@pytest.mark.parametrize("count", [1, 3, 4, 5, 16, 17, 1000])
@pytest.mark.parametrize("row", [2, 4])
def test_running_sums(monkeypatch, count, row):
    monkeypatch.setattr(device_curve, "_ROW", row)
    column = torch.rand(count, dtype=torch.float64)
    torch.testing.assert_close(running(column), column.cumsum(0), rtol=1e-13, atol=0)
