"""Maps and the curve of their pixels, made on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adbench import Geometry
from adbench.api.curves.curve import curve_of_maps
from adbench.api.curves.truth import Truth
from adbench.engine.evaluate import device_curve
from adbench.engine.evaluate.anomaly_map import anomaly_map, anomaly_maps
from adbench.engine.evaluate.device_curve import curve_on_device, running
from adbench.engine.plan.map_spec import MapSpec

SPECS = [
    MapSpec(),
    MapSpec(sigma=0, upsample="nearest"),
    MapSpec(at="evaluation", upsample="bilinear-corners", border="reflect"),
    MapSpec(floor=0.2, morphology="open:3"),
]
GEOMETRIES = [Geometry.whole(40, 60), Geometry.whole(64, 64).windowed(4, 8, 48, 40)]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_maps_are_those_of_the_cpu(spec, geometry, device):
    scores = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    found = anomaly_maps(scores.to(device), geometry, spec)
    wanted = np.stack([anomaly_map(one.numpy(), geometry, spec) for one in scores])
    assert found.device.type == device
    np.testing.assert_allclose(found.cpu().numpy(), wanted, rtol=0, atol=2e-6)


def walks(levels):
    """Maps in batches, and masks; `levels` rounds the scores so that many are equal."""
    rng = np.random.default_rng(4)
    batches = []
    for shape in ((1, 30, 20), (3, 32, 32), (1, 20, 40)):
        masks = rng.random(shape) < 0.2 * (rng.random((shape[0], 1, 1)) < 0.8)
        scores = rng.normal(size=shape) + 1.5 * masks
        batches.append(((np.round(scores * levels) / levels if levels else scores).astype(np.float32), masks))
    return batches


@pytest.mark.parametrize("held", [1 << 20, 300])
@pytest.mark.parametrize("levels", [None, 2])
def test_a_curve_is_that_of_the_cpu(levels, held, device, monkeypatch):
    batches = walks(levels)
    wanted = curve_of_maps(lambda: (pair for maps, masks in batches for pair in zip(maps, masks, strict=True)))
    monkeypatch.setattr(device_curve, "HELD_POSITIVES", held)
    monkeypatch.setattr(device_curve, "HELD_PIXELS", held)
    truth = [(torch.from_numpy(maps).to(device), [Truth.of(mask) for mask in masks]) for maps, masks in batches]
    found = curve_on_device(lambda: iter(truth), device)
    assert (found.positives, found.negatives) == (wanted.positives, wanted.negatives)
    assert found.best_threshold == wanted.best_threshold
    for name in ("auroc", "average_precision", "f1_max"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=1e-12, rel=0)
    for limit in (0.05, 0.3, 1):
        assert found.aupro(limit) == pytest.approx(wanted.aupro(limit), abs=1e-12, rel=0)


@pytest.mark.parametrize("count", [1, 4096, 4097, 3_000_001])
def test_running_sums_of_a_curve(count, device):
    column = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = running(column.to(device))
    torch.testing.assert_close(found.cpu(), column.cumsum(0), rtol=1e-12, atol=0)
    assert torch.equal(found, running(column.to(device)))
