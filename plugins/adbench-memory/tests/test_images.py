"""Images as points, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.image_knn import ImageKnn
from adbench_memory.images import ImageVectors

from adbench import Context, ContractError, DataError, Source, UsageError


class Transductive(ImageVectors):
    """The test images themselves."""

    name = "test-images"
    learns_from = Source.TEST


def images(patch_stream, *vectors):
    """One batch of images that are nothing but their vectors."""
    stream = patch_stream(torch.zeros(len(vectors), 1, 1, 1))
    stream.batches = [stream.batches[0].having(patches=None, image=torch.tensor(vectors))]
    return stream


def bank_of(stream, cls=ImageVectors):
    bank = cls()
    bank.fit(stream, Context())
    return bank


def test_one_vector_an_image(patch_stream):
    bank = bank_of(images(patch_stream, [1.0, 2.0], [3.0, 4.0]))
    assert bank.vectors.tolist() == [[1, 2], [3, 4]]
    assert bank.owners == ["image 0", "image 1"]


@pytest.mark.proves("resnet-knn")
def test_the_mean_of_k_distances_and_no_map(patch_stream):
    """From (3, 4): 5 to (0, 0), 3 to (0, 4) and 4 to (3, 0)."""
    bank = bank_of(images(patch_stream, [0.0, 0.0], [0.0, 4.0], [3.0, 0.0]))
    (query,) = images(patch_stream, [3.0, 4.0])
    scores = ImageKnn(k=2).score(query, bank)
    assert scores.image.tolist() == pytest.approx([3.5])
    assert scores.patches is None
    assert ImageKnn(k=2, squared=True).score(query, bank).image.tolist() == pytest.approx([12.5])


@pytest.mark.proves("vit-knn")
def test_cosine(patch_stream):
    bank = bank_of(images(patch_stream, [2.0, 0.0]))
    (query,) = images(patch_stream, [1.0, 1.0])
    assert ImageKnn(metric="cosine").score(query, bank).image.tolist() == pytest.approx([1 - 0.5**0.5])


def test_a_test_image_never_matches_itself(patch_stream):
    stream = images(patch_stream, [0.0], [1.0], [10.0])
    (query,) = stream
    assert ImageKnn().score(query, bank_of(stream, Transductive)).image.tolist() == [1, 1, 9]


def test_what_it_asks_for():
    assert ImageKnn.gives(ImageKnn().config) == {"image"}
    assert ImageKnn.defaults(ImageKnn().config) == {"bank": {"image-vectors": {}}, "aggregate": "scorer"}


def test_no_image_no_vector_and_too_few_neighbours(patch_stream, gaussian_noise):
    with pytest.raises(DataError, match="cannot learn from nothing"):
        bank_of(patch_stream())
    with pytest.raises(ContractError, match="reads the image vector"):
        bank_of(patch_stream(gaussian_noise(1, 2, 2, 3)))
    (query,) = stream = images(patch_stream, [0.0], [1.0])
    with pytest.raises(UsageError, match="cannot find 3 neighbours among 2"):
        ImageKnn(k=3).score(query, bank_of(stream))
