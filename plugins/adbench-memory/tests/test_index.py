"""Approximate indexes: how good they say to be, that they are repeatable, and what they refuse."""

from __future__ import annotations

import faiss
import pytest
import torch
from adbench_memory.coreset import Coreset
from adbench_memory.full import Full
from adbench_memory.index import ApproximateIndex, SearchConfig

from adbench import Context, UsageError
from adbench.search import exact_search

pytestmark = pytest.mark.slow


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


@pytest.fixture
def stream(patch_stream, gaussian_noise):
    """2,000 vectors of 16 channels in some clusters, off the origin."""
    places = gaussian_noise(1, 1, 40, 16, seed=7).expand(5, 10, 40, 16) * 4
    return patch_stream(30 + places + gaussian_noise(5, 10, 40, 16))


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_what_is_found_is_measured_exactly(metric, stream, gaussian_noise):
    bank = fitted(Full(index="hnsw", index_metric=metric), stream)
    query = 30 + 4 * gaussian_noise(50, 16, seed=2)
    distances, indices = bank.search(query, 3, metric)
    every, order = exact_search(query, bank.vectors, len(bank.vectors), metric)
    expected = every.gather(1, order.argsort(1).gather(1, indices))
    torch.testing.assert_close(distances, expected, rtol=0, atol=0)
    assert (distances.diff(dim=1) >= 0).all()
    assert (indices == order[:, :3]).float().mean() > 0.5


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_with_enough_effort_it_is_exact(metric, stream, gaussian_noise):
    bank = fitted(Full(index="hnsw", M=64, ef=500, index_metric=metric), stream)
    query = 30 + 4 * gaussian_noise(50, 16, seed=2)
    found, expected = bank.search(query, 3, metric), exact_search(query, bank.vectors, 3, metric)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert bank.facts()["recall@1"] == 1


def test_the_recall_is_that_of_queries_which_the_index_has_not_seen(stream):
    """It is worked out again here, from an index without them."""
    bank = fitted(Full(index="hnsw"), stream)
    held_out = bank.state()["held_out"]
    assert len(held_out) == 200
    others = torch.ones(2000, dtype=torch.bool)
    others[held_out] = False
    kept = bank.vectors[others]
    index = ApproximateIndex(kept, bank.config, torch.empty(0, dtype=torch.int64))
    true = exact_search(bank.vectors[held_out], kept, 10)[1]
    for k in (1, 10):
        found = index.search(bank.vectors[held_out], k)[1]
        recall = (true[:, :k, None] == found[:, None, :]).any(2).float().mean().item()
        assert bank.facts()[f"recall@{k}"] == pytest.approx(recall, abs=0.02)
    assert index.recall == {}


def test_less_effort_finds_less(stream):
    recalls = [fitted(Full(index="hnsw", M=4, ef=ef), stream).facts()["recall@1"] for ef in (1, 500)]
    assert recalls[0] < recalls[1]


def test_the_size_is_that_of_the_index(stream):
    bank = fitted(Coreset(count=900, index="hnsw"), stream)
    assert bank.facts()["index_mb"] == len(faiss.serialize_index(bank._index()._index)) / 1e6


def test_it_is_repeatable_and_survives_its_state(stream, gaussian_noise):
    query = 30 + 4 * gaussian_noise(300, 16, seed=2)
    bank, again = (fitted(Full(index="hnsw"), stream) for _ in range(2))
    restored = Full(index="hnsw")
    restored.restore(bank.state())
    for other in (again, restored):
        assert other.facts() == bank.facts()
        torch.testing.assert_close(other.search(query, 5), bank.search(query, 5), rtol=0, atol=0)
        assert (
            faiss.serialize_index(other._index()._index).tobytes()
            == faiss.serialize_index(bank._index()._index).tobytes()
        )


def test_graphs_are_built_by_one_thread_and_threads_are_given_back(stream):
    before = faiss.omp_get_max_threads()
    fitted(Full(index="hnsw"), stream)
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize("n", [2, 5, 40])
def test_few_vectors_are_enough(n, patch_stream, gaussian_noise):
    bank = fitted(Full(index="hnsw"), patch_stream(gaussian_noise(1, 1, n, 3)))
    distances, indices = bank.search(bank.vectors, n)
    assert distances[:, 0].tolist() == [0] * n
    assert indices.sort(1).values.tolist() == [list(range(n))] * n


def test_a_walk_that_meets_too_few_is_asked_exactly(patch_stream, gaussian_noise):
    bank = fitted(Full(index="hnsw", M=2, ef=1), patch_stream(gaussian_noise(1, 1, 400, 3)))
    query = gaussian_noise(20, 3, seed=1)
    _, whole = bank._index()._proposed(query, 390)
    assert not whole.all()
    some = ~whole
    found, exact = bank.search(query, 390), exact_search(query, bank.vectors, 390)
    torch.testing.assert_close(found[0][some], exact[0][some], rtol=0, atol=0)


def test_images_that_own_nothing_may_be_left_out(stream, gaussian_noise):
    bank = fitted(Full(index="hnsw"), stream)
    query = 30 + gaussian_noise(5, 16)
    torch.testing.assert_close(bank.search(query, 2, exclude=["stranger"] * 5), bank.search(query, 2))


def test_what_it_cannot_do_is_refused(stream, gaussian_noise):
    bank = fitted(Full(index="hnsw"), stream)
    with pytest.raises(UsageError, match="cannot leave out an image's own vectors; use index=exact"):
        bank.search(gaussian_noise(1, 16), 1, exclude=["image 0"])
    with pytest.raises(UsageError, match="has an index for l2, but is asked for cosine; give it index_metric=cosine"):
        bank.search(gaussian_noise(1, 16), 1, "cosine")
    with pytest.raises(UsageError, match="cannot find 2001 neighbours among 2000"):
        bank.search(gaussian_noise(1, 16), 2001)


@pytest.mark.parametrize("option", ["M", "ef"])
def test_an_option_without_its_index_is_refused(option):
    with pytest.raises(UsageError, match=f"option '{option}' of bank 'coreset': .*is an option of index=hnsw"):
        Coreset(**{option: 4})
    assert getattr(SearchConfig(index="hnsw", **{option: 4}), option) == 4


@pytest.mark.parametrize("option", ["nlist", "nprobe", "m", "nbits"])
def test_options_of_deleted_indices_name_the_way_out(option):
    with pytest.raises(UsageError, match=f"bank 'full' no longer has the option '{option}'; .*only index=hnsw is left"):
        Full(**{option: 4})


@pytest.mark.parametrize("index", ["ivf", "pq"])
def test_deleted_indices_are_refused_with_those_that_are_left(index):
    with pytest.raises(UsageError, match=r"option 'index' of bank 'full': input should be 'exact' or 'hnsw'"):
        Full(index=index)
