"""The saturated per-region overlap against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import ContractError, Evidence
from adbench.api.curves import threshold_table
from adbench.api.curves.curve import curve_of_maps
from adbench.api.curves.regions import Region, RegionTruth, curve_of_regions
from adbench.testing import reference_metrics
from adbench.testing.toy_truth import evidence


def images(seed: int, levels: int, count: int = 3):
    """Maps with ties, and overlapping regions of any saturation; the first image is normal."""
    rng = np.random.default_rng(seed)
    made = []
    for image in range(count):
        shape = (int(rng.integers(3, 9)), int(rng.integers(3, 9)))
        scores = rng.integers(0, levels, shape).astype(np.float32) / levels
        regions = []
        for _ in range(int(rng.integers(1, 4)) if image else 0):
            mask = rng.random(shape) < 0.3
            mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
            regions.append(Region.of(mask, rng.integers(0, mask.sum() + 3)))
        made.append((scores, RegionTruth(shape, regions)))
    return made


def slow(made, limit: float) -> float:
    def walk():
        return iter(made)

    return reference_metrics.spro(Evidence(np.zeros(0, bool), np.zeros(0), regions=walk), limit)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 5, 1000]), st.sampled_from([0.01, 0.05, 0.3, 1.0]))
def test_it_is_what_the_definition_gives(seed, levels, limit):
    made = images(seed, levels)
    assert curve_of_regions(lambda: iter(made)).aupro(limit) == pytest.approx(slow(made, limit), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, 1000]))
def test_with_the_whole_area_it_is_aupro(seed, levels):
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (4, 9, 11)).astype(np.float32)
    masks = rng.random(scores.shape) < 0.25
    masks[0] = False
    truths = []
    for mask in masks:
        found, count = ndimage.label(mask, structure=np.ones((3, 3)))
        truths.append(RegionTruth(mask.shape, [Region.of(found == number) for number in range(1, count + 1)]))
    saturated = curve_of_regions(lambda: zip(scores, truths, strict=True))
    plain = curve_of_maps(lambda: zip(scores, masks, strict=True))
    for limit in (0.05, 0.3, 1.0):
        assert saturated.aupro(limit) == pytest.approx(plain.aupro(limit), abs=1e-12)


def test_in_many_slices_it_is_the_same(monkeypatch):
    made = images(3, 40, count=6)
    whole = curve_of_regions(lambda: iter(made)).aupro(0.3)
    monkeypatch.setattr(threshold_table, "HELD_POSITIVES", 8)
    monkeypatch.setattr(threshold_table, "HELD_NORMALS", 16)
    assert curve_of_regions(lambda: iter(made)).aupro(0.3) == whole


def test_which_of_equal_pixels_saturate_makes_no_difference():
    mask = np.ones((2, 3), bool)
    mask[0, 0] = False
    truth = RegionTruth(mask.shape, [Region.of(mask, 3)])
    flat = np.zeros((2, 3), np.float32)
    assert truth.under(flat).positions.size == 3
    assert curve_of_regions(lambda: iter([(flat, truth)])).aupro(1.0) == 0.5


@pytest.mark.parametrize(("given_", "expected"), [(None, 5), (0, 1), (0.9, 1), (3.9, 3), (77, 5)])
def test_a_saturation_area_is_a_whole_number_of_the_regions_pixels(given_, expected):
    mask = np.zeros((3, 3), bool)
    mask.ravel()[:5] = True
    assert Region.of(mask, given_).saturation == expected


def test_no_region_is_undefined():
    truth = RegionTruth((2, 2), ())
    curve = curve_of_regions(lambda: iter([(np.zeros((2, 2)), truth)]))
    assert curve.aupro(0.05) is None
    assert "no anomalous pixel" in curve.undefined


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ContractError, match="maps are as large as their masks"):
        curve_of_regions(lambda: iter([(np.zeros((2, 3)), RegionTruth((2, 2), ()))]))


def test_toys_tell_regions_apart():
    given_ = evidence("noisy")
    assert given_.region_curve is not None
    assert sum(len(truth.regions) for _, truth in given_.regions()) == 8
