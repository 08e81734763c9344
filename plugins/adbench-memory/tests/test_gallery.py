"""SPADE, against numbers worked out by hand and a direct reading of its formulas."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.gallery import Gallery
from adbench_memory.gallery_knn import GalleryKnn

from adbench import Context, ContractError, DataError, UsageError
from adbench.comparisons import NormalPatch, PatchPlace


def bank_of(stream):
    bank = Gallery()
    bank.fit(stream, Context())
    return bank


def pictures(patch_stream, **places):
    """One batch of images of a row of patches on a line, each with a vector on another line: ``at_5=[...]``."""
    stream = patch_stream(torch.tensor(list(places.values()))[:, None, :, None])
    vectors = torch.tensor([[float(name.removeprefix("at_"))] for name in places])
    stream.batches = [stream.batches[0].having(image=vectors)]
    return stream


@pytest.mark.proves("spade")
def test_by_hand(patch_stream):
    """The image at 4 has those at 3 and 6 nearest, of distances 1 and 2. Of their patches 0, 10, 20 and 30, 11 is
    nearest to 10 (1, then 9 to 20), and 26 to 30 (4, then 6); the image at 100, with patches 11 and 26, is too far.
    """
    bank = bank_of(pictures(patch_stream, at_3=[0.0, 10.0], at_6=[20.0, 30.0], at_100=[11.0, 26.0]))
    (query,) = pictures(patch_stream, at_4=[11.0, 26.0])
    one = GalleryKnn(images=2).score(query, bank)
    assert one.patches.tolist() == [[[1, 4]]]
    assert one.image.tolist() == [1.5]
    two = GalleryKnn(images=2, k=2, squared=True).score(query, bank)
    assert two.patches.tolist() == [[[(1 + 81) / 2, (16 + 36) / 2]]]
    assert two.image.tolist() == [2.5]
    nearest = GalleryKnn(images=1).score(query, bank)
    assert nearest.patches.tolist() == [[[1, 16]]]
    assert nearest.image.tolist() == [1]


def test_all_images_where_there_are_fewer(patch_stream):
    bank = bank_of(pictures(patch_stream, at_3=[0.0, 10.0], at_6=[20.0, 30.0]))
    (query,) = pictures(patch_stream, at_4=[11.0, 26.0])
    assert GalleryKnn().score(query, bank).image.tolist() == [1.5]


def test_the_background_scores_nothing(patch_stream):
    bank = bank_of(pictures(patch_stream, at_3=[0.0, 10.0]))
    (query,) = pictures(patch_stream, at_4=[11.0, 26.0])
    scores = GalleryKnn().score(query.having(foreground=torch.tensor([[[False, True]]])), bank)
    assert scores.patches.tolist() == [[[0, 16]]]


@pytest.mark.proves("spade")
def test_the_formulas(patch_stream, gaussian_noise):
    normal, tested = patch_stream(gaussian_noise(12, 3, 4, 8)), patch_stream(gaussian_noise(5, 3, 4, 8, seed=1))
    for stream, seed in ((normal, 2), (tested, 3)):
        stream.batches = [stream.batches[0].having(image=gaussian_noise(len(stream.batches[0]), 6, seed=seed))]
    bank, (query,) = bank_of(normal), tested
    scores = GalleryKnn(images=4, k=3, squared=True).score(query, bank)
    for number in range(5):
        squares = (bank.images - query.image[number]).square().sum(1)
        near = squares.topk(4, largest=False)
        assert scores.image[number].item() == pytest.approx(near.values.mean().item(), rel=1e-5)
        gallery = normal.batches[0].patches[near.indices].reshape(-1, 8)
        apart = (query.patches[number].reshape(-1, 1, 8) - gallery).square().sum(-1)
        expected = apart.topk(3, largest=False).values.mean(1).reshape(3, 4)
        torch.testing.assert_close(scores.patches[number], expected, rtol=1e-4, atol=1e-5)


def test_batches_are_one_after_another(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(2, 2, 3, 4), gaussian_noise(1, 2, 3, 4, seed=1))
    stream.batches = [batch.having(image=gaussian_noise(len(batch), 5, seed=len(batch))) for batch in stream.batches]
    bank = bank_of(stream)
    assert torch.equal(bank.vectors, torch.cat([batch.patches for batch in stream]))
    assert torch.equal(bank.images, torch.cat([batch.image for batch in stream]))


def test_what_it_refuses(patch_stream, gaussian_noise):
    with pytest.raises(UsageError, match="has learned nothing yet"):
        _ = Gallery().vectors
    with pytest.raises(DataError, match="cannot learn from nothing"):
        bank_of(patch_stream())
    stream = patch_stream(gaussian_noise(1, 2, 2, 4), gaussian_noise(1, 2, 3, 4))
    stream.batches = [batch.having(image=gaussian_noise(1, 5)) for batch in stream.batches]
    with pytest.raises(ContractError, match=r"same grid of every image, but got \(2, 2\) and then \(2, 3\)"):
        bank_of(stream)


def test_a_patch_is_compared_with_the_nearest_of_the_nearest_images(patch_stream):
    """The image at 100 has the nearest patch, 25, but is too far; of the others 30 is the nearest to 26."""
    stream = pictures(patch_stream, at_3=[0.0, 10.0], at_6=[20.0, 30.0], at_100=[11.0, 25.0])
    (query,) = pictures(patch_stream, at_4=[11.0, 26.0])
    bank = bank_of(stream)
    other = Gallery()
    other.restore(bank.state())
    for one in (bank, other):
        found = GalleryKnn(images=2).compare(query, one, (0, 1))
        assert found.distance == 4
        assert found.nearest == NormalPatch(stream.ids[1], PatchPlace(0, 1, 1, 2))
        assert found.channels.tolist() == [1]
    older = Gallery()
    older.restore({name: tensor for name, tensor in bank.state().items() if name != "ids"})
    found = GalleryKnn(images=2).compare(query, older, (0, 1))
    assert (found.distance, found.nearest) == (4, None)
    assert "does not hold the names" in found.reasons["nearest"]
    with pytest.raises(DataError, match="the state is damaged"):
        Gallery().restore({**bank.state(), "ids": torch.tensor([65], dtype=torch.uint8)})
