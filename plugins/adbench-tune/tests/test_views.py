"""Crops and masks by their stated distributions."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.views import GLOBAL, LOCAL, ViewRule, crop_size, masks_for


@pytest.mark.parametrize("share", [GLOBAL, LOCAL])
def test_crops_have_their_share(generator, share):
    draw = generator()
    sizes = torch.tensor([crop_size(200, 200, share, draw) for _ in range(1000)], dtype=torch.float64)
    areas = sizes.prod(1) / 200**2
    assert float(areas.min()) > share[0] * 0.95
    assert float(areas.max()) <= share[1] * 1.02
    assert float(areas.mean()) == pytest.approx(sum(share) / 2, abs=0.03)


def test_views_are_images_of_their_size(generator, images):
    rule, draw = ViewRule(size=24, local_size=12, flip=True, jitter=0.4), generator()
    shown, small = rule.views(images(3), 2, draw)
    assert shown.shape == (2, 3, 3, 24, 24)
    assert [view.shape for view in small] == [(3, 3, 12, 12)] * 2
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert not torch.equal(shown[0], shown[1])
    again, _ = rule.views(images(3), 2, generator())
    assert torch.equal(shown, again)


def test_masks_cover_their_share_in_half_of_the_images(generator):
    masks = masks_for(600, 14, 14, generator())
    shares = masks.double().mean(dim=(1, 2))
    masked = shares > 0
    assert float(masked.double().mean()) == pytest.approx(0.5, abs=0.06)
    assert float(shares[masked].min()) > 0.09
    assert float(shares[masked].max()) < 0.51
    assert float(shares[masked].mean()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_there_is_always_a_masked_patch(generator, seed):
    assert masks_for(1, 3, 2, generator(seed)).any()
