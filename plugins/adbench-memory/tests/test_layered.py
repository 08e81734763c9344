"""The banks that keep several layers: what they keep, what they give back, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.aligned import Aligned
from adbench_memory.test_set import TestSet

from adbench import Context, DataError, Source, UsageError
from adbench.api.banks import room

BOTH = pytest.mark.parametrize("kind", [Aligned, TestSet])


@pytest.fixture
def stream(seen, gaussian_noise):
    layers = {"one": gaussian_noise(5, 2, 3, 4), "two": gaussian_noise(5, 2, 3, 2, seed=1)}
    return seen(layers, image=gaussian_noise(5, 7, seed=2), batch=2)


def fitted(kind, stream, **options):
    bank = kind(**options)
    bank.fit(stream, Context())
    return bank


@BOTH
def test_layers_are_kept_side_by_side(kind, stream):
    bank = fitted(kind, stream, reads="layers")
    assert bank.widths == (4, 2)
    vectors = bank.vectors.reshape(5, 2, 3, 6)
    torch.testing.assert_close(vectors[..., :4], stream.layers["one"], rtol=0, atol=0)
    torch.testing.assert_close(vectors[..., 4:], stream.layers["two"], rtol=0, atol=0)


def test_aligned_keeps_the_image_vectors(stream, seen):
    torch.testing.assert_close(fitted(Aligned, stream, reads="layers").images, stream.image)
    assert fitted(Aligned, seen(stream.layers), reads="layers").images is None


def test_the_test_set_says_whose_vectors_are_whose_and_that_it_is_transductive(stream):
    bank = fitted(TestSet, stream, reads="layers")
    assert bank.owners == [name for name in stream.ids for _ in range(6)]
    assert bank.learns_from is Source.TEST
    _, nearest = bank.search(bank.vectors, 1, exclude=bank.owners)
    assert all(bank.owners[found] != own for found, own in zip(nearest[:, 0].tolist(), bank.owners, strict=True))


@BOTH
def test_what_is_needed_depends_on_what_is_read(kind):
    assert kind().needs == {"patches"}
    assert kind(reads="layers").needs == {"layers"}


@BOTH
def test_a_restored_bank_keeps_widths_grid_and_image_vectors(kind, stream):
    bank, other = fitted(kind, stream, reads="layers"), kind(reads="layers")
    other.restore(bank.state())
    assert other.widths == bank.widths
    assert other.learned.grid == (2, 3)
    assert other.vectors.shape == bank.vectors.shape
    torch.testing.assert_close(other.learned.images, stream.image)


@BOTH
def test_other_layers_are_no_query(kind, stream, seen, gaussian_noise):
    bank = fitted(kind, stream, reads="layers")
    query = seen({"one": gaussian_noise(1, 2, 3, 4)}).part(slice(1))
    with pytest.raises(UsageError, match=rf"'{kind.name}' has layers of \(4, 2\) channels, but the query has \(4,\)"):
        bank.query_grid(query)


@BOTH
def test_nothing_can_be_asked_before_it_has_learned(kind):
    with pytest.raises(UsageError, match="has learned nothing yet; call fit or restore first"):
        _ = kind().vectors


@BOTH
def test_what_does_not_fit_is_refused_with_a_way_out(kind, patch_stream, gaussian_noise, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda device: 1_000_000)
    stream = patch_stream(gaussian_noise(1, 10, 10, 8))
    stream.batches *= 1_000
    with pytest.raises(UsageError, match=r"with 100,000 vectors .* would need 0\.0032 GB.*; use fewer .* images"):
        kind().fit(stream, Context())


@pytest.mark.parametrize("second", [(3, 2), (2, 2), (1, 6)])
def test_aligned_needs_one_grid(second, patch_stream, gaussian_noise):
    bank = Aligned()
    with pytest.raises(DataError, match="bank 'aligned' needs images that all have the same patch grid"):
        bank.fit(patch_stream(gaussian_noise(1, 2, 3, 4), gaussian_noise(1, *second, 4)), Context())
    with pytest.raises(UsageError, match="has learned nothing yet"):
        _ = bank.vectors
