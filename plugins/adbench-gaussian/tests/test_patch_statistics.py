"""The first walk over a stream: moments of all patches, an even sample, blocks of images."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import patch_statistics as module
from adbench_gaussian.patch_statistics import images_of, patch_statistics

from adbench import Context


@pytest.mark.parametrize("rows", [3, 4096])
def test_moments_are_those_of_all_patches(rows, patch_stream, gaussian_noise, monkeypatch):
    monkeypatch.setattr(module, "ROWS", rows)
    grids = gaussian_noise(3, 2, 2, 4) + 7, gaussian_noise(2, 3, 4, 4, seed=1)
    everything = torch.cat([grid.reshape(-1, 4) for grid in grids]).double()
    statistics = patch_statistics(patch_stream(*grids), Context(), "bank")
    assert statistics.count == 36
    torch.testing.assert_close(statistics.mean, everything.mean(0))
    torch.testing.assert_close(statistics.covariance, torch.cov(everything.T))


@pytest.mark.parametrize(("wanted", "each"), [(0, 0), (1, 1), (10, 2), (11, 3), (999, 12)])
def test_the_sample_has_as_many_of_each_image(wanted, each, patch_stream, gaussian_noise):
    grids = gaussian_noise(5, 3, 4, 6)
    sample = patch_statistics(patch_stream(grids[:2], grids[2:]), Context(), "bank", wanted).sample
    assert len(sample) == 5 * each
    for image, some in zip(grids, sample.split(each) if each else [], strict=bool(each)):
        assert (some[:, None] == image.reshape(1, 12, 6)).all(-1).any(1).all()
        assert len(some.unique(dim=0)) == each


def test_the_sample_depends_on_the_seed_but_not_on_the_batches(patch_stream, gaussian_noise):
    grids = gaussian_noise(5, 3, 4, 6)
    whole, cut, other = (
        patch_statistics(stream, Context(seed=seed), "bank", 10).sample
        for stream, seed in ((patch_stream(grids), 1), (patch_stream(*grids.split(2)), 1), (patch_stream(grids), 2))
    )
    assert torch.equal(whole, cut)
    assert not torch.equal(whole, other)


@pytest.mark.parametrize(("count", "sizes"), [(1, [4] * 5), (2, [8, 8, 4]), (5, [20]), (9, [20])])
def test_images_come_so_many_at_a_time(count, sizes, patch_stream, gaussian_noise):
    grids = gaussian_noise(5, 2, 2, 3)
    blocks = list(images_of(patch_stream(*grids.split(3)), count, "cpu", "bank"))
    assert [len(block) for block in blocks] == sizes
    assert torch.equal(torch.cat(blocks), grids.reshape(20, 3))
