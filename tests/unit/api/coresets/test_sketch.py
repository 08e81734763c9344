"""Bounds from sketches are bounds, for every pair."""

from __future__ import annotations

import pytest
import torch

from adbench.api.coresets.sketch import Sketches


def gaussian(n, channels, seed=0):
    return torch.randn(n, channels, generator=torch.Generator().manual_seed(seed))


DATA = {
    "all directions": gaussian(600, 64),
    "few directions": gaussian(600, 3) @ gaussian(3, 256, 1),
    "far from the origin": 1e3 + gaussian(600, 64),
    "tiny and far": 1e3 + 1e-3 * gaussian(600, 64),
    "one point": torch.ones(50, 16),
    "one channel": gaussian(600, 1),
    "many scales": gaussian(600, 64) * 2.0 ** torch.arange(-32, 32),
}


@pytest.mark.parametrize("name", DATA)
def test_no_bound_is_above_the_distance(name):
    vectors, index = DATA[name], torch.arange(len(DATA[name]))
    sketches = Sketches.of(vectors)
    centered = vectors - sketches.mean
    plain = torch.stack([(vectors - one).square().sum(1) for one in vectors])
    short = sketches.lower_bounds(sketches.rows, sketches.own, index)
    whole = sketches.closer_bounds(centered, index, centered, index)
    assert (short <= plain).all()
    assert (whole <= plain).all()


def test_features_of_few_directions_lose_little():
    sketches = Sketches.of(DATA["few directions"])
    vectors = DATA["few directions"]
    low = sketches.lower_bounds(sketches.rows, sketches.own, torch.arange(600))
    far = ~torch.eye(600, dtype=torch.bool)
    assert (low[far] / torch.cdist(vectors, vectors).square()[far]).median() > 0.99


def test_products_of_less_precision_make_looser_bounds(monkeypatch):
    strict = Sketches.of(DATA["all directions"]).own
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert (Sketches.of(DATA["all directions"]).own < strict).all()
