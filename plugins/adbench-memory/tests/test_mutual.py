"""MuSc's mutual scores by hand, by brute force, and against figures of the authors' code."""

from __future__ import annotations

import pytest
import torch
from adbench_memory import mutual
from adbench_memory.full import Full
from adbench_memory.lnamd import Lnamd
from adbench_memory.mutual import Mutual
from adbench_memory.test_set import TestSet

from adbench import Context, UsageError
from adbench.builtin.toy import ToyTestVectors

OFFICIAL = [0.767339, 0.681295, 0.669418, 0.710978, 0.709531, 0.752198, 0.674399, 0.725756, 0.708031]
"""The first image's scores by ``LNAMD`` and ``MSM`` of xrli-U/MuSc, models/modules at b76b93d, as models/musc.py calls
them."""


def learned(stream, kind=TestSet, **options):
    bank = kind(**options)
    bank.fit(stream, Context())
    return bank


def by_hand(layers, share):
    """[N, H, W], one patch at a time, in double precision."""
    grids = list(layers.values())
    count, height, width, _ = grids[0].shape
    found = torch.zeros(count, height, width)
    for grid in grids:
        for i, y, x in [(i, y, x) for i in range(count) for y in range(height) for x in range(width)]:
            others = [grid[j].double().flatten(0, 1) - grid[i, y, x].double() for j in range(count) if j != i]
            nearest = sorted(offsets.norm(dim=1).min().item() for offsets in others)
            lowest = nearest[: max(1, int(share * (count - 1)))]
            found[i, y, x] += sum(lowest) / len(lowest) / len(grids)
    return found


def test_three_images_by_hand(patch_stream):
    values = torch.tensor([[0.0, 10.0], [1.0, 12.0], [5.0, 13.0]]).view(3, 1, 2, 1)
    stream = patch_stream(values)
    bank = learned(stream)
    nearest = Mutual(share=0.5).score(next(iter(stream)), bank).patches  # the nearer one of two other images
    assert nearest.squeeze(1).tolist() == [[1, 2], [1, 1], [4, 1]]
    both = Mutual(share=1).score(next(iter(stream)), bank).patches
    assert both.squeeze(1).tolist() == [[3, 2.5], [2.5, 1.5], [4.5, 2]]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("images", [2, 4, 5, 11])
def test_equal_to_brute_force(images, share, seen, gaussian_noise, monkeypatch):
    monkeypatch.setattr(mutual, "BLOCK", 30)  # five patches at a time
    layers = {"one": gaussian_noise(images, 2, 3, 4), "two": 5 + gaussian_noise(images, 2, 3, 2, seed=1)}
    stream = seen(layers)
    bank = learned(stream, reads="layers")
    scores = torch.cat([Mutual(share=share).score(batch, bank).patches for batch in stream])
    torch.testing.assert_close(scores, by_hand(layers, share), rtol=1e-5, atol=1e-6)


@pytest.mark.proves("musc")
def test_equal_to_the_authors_code(waves):
    stream = waves(8, 3, (4, 4), 0, "test").after(Lnamd())
    scores = Mutual().score(stream.part(slice(1)), learned(stream, reads="layers")).patches
    torch.testing.assert_close(scores.flatten(), torch.tensor(OFFICIAL), rtol=0, atol=2e-6)


def test_digits_survive_a_large_offset(patch_stream, gaussian_noise):
    """A distance is measured from the difference, not taken from the product that finds the nearest."""
    values = gaussian_noise(4, 2, 2, 3) + 1000
    stream = patch_stream(values)
    scores = Mutual().score(next(iter(stream)), learned(stream)).patches
    torch.testing.assert_close(scores, by_hand({"one": values}, 0.3), rtol=1e-4, atol=0)


def test_an_image_never_matches_itself(patch_stream):
    stream = patch_stream(torch.tensor([0.0, 3.0]).view(2, 1, 1, 1))
    assert Mutual().score(next(iter(stream)), learned(stream)).patches.flatten().tolist() == [3, 3]


def test_other_banks_of_vectors_will_do(patch_stream, gaussian_noise):
    """With normal images in the bank it is another method: none of them is the image itself, and all count."""
    normal, query = (
        patch_stream(gaussian_noise(4, 2, 2, 3)),
        next(iter(patch_stream(gaussian_noise(1, 2, 2, 3, seed=1)))).having(ids=("other",)),
    )
    scores = Mutual(share=1).score(query, learned(normal, Full)).patches
    every = torch.cdist(query.patches.flatten(0, 2), normal.batches[0].patches.flatten(1, 2)).amin(2).mean(0)
    torch.testing.assert_close(scores.flatten(), every)
    toy = learned(normal, ToyTestVectors, fraction=0.6)
    assert Mutual().score(normal.batches[0], toy).patches.shape == (4, 2, 2)


def test_one_image_has_nothing_to_compare_with(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(1, 2, 2, 3))
    with pytest.raises(UsageError, match="compares an image with others, but 'image 0' is alone; test on more images"):
        Mutual().score(next(iter(stream)), learned(stream))


def test_memory_is_bounded(patch_stream, gaussian_noise, held, monkeypatch):
    monkeypatch.setattr(mutual, "BLOCK", 1 << 12)
    stream = patch_stream(gaussian_noise(4, 16, 16, 2))
    bank = learned(stream)
    with held() as memory:
        Mutual().score(next(iter(stream)), bank)
    assert memory.peak < 4 * 1024 * 256 / 4  # a quarter of the distances of 1,024 patches to one image's 256
