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

KINDS = ["ivf", "hnsw", "pq"]


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


@pytest.fixture
def stream(given, draw):
    """2,000 vectors of 16 channels in some clusters, off the origin."""
    places = draw(1, 1, 40, 16, seed=7).expand(5, 10, 40, 16) * 4
    return given(30 + places + draw(5, 10, 40, 16))


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_is_measured_exactly(kind, metric, stream, draw):
    bank = fitted(Full(index=kind, index_metric=metric), stream)
    query = 30 + 4 * draw(50, 16, seed=2)
    distances, indices = bank.search(query, 3, metric)
    every, order = exact_search(query, bank.vectors, len(bank.vectors), metric)
    expected = every.gather(1, order.argsort(1).gather(1, indices))
    torch.testing.assert_close(distances, expected, rtol=0, atol=0)
    assert (distances.diff(dim=1) >= 0).all()
    assert (indices == order[:, :3]).float().mean() > 0.5


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize(
    "options",
    [
        {"index": "ivf", "nlist": 20, "nprobe": 20},
        {"index": "hnsw", "M": 64, "ef": 500},
        {"index": "pq", "m": 16, "nbits": 8},
    ],
    ids=KINDS,
)
def test_with_enough_effort_it_is_exact(options, metric, stream, draw):
    bank = fitted(Full(index_metric=metric, **options), stream)
    query = 30 + 4 * draw(50, 16, seed=2)
    found, expected = bank.search(query, 3, metric), exact_search(query, bank.vectors, 3, metric)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert bank.facts()["recall@1"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_recall_is_that_of_queries_which_the_index_has_not_seen(kind, stream):
    """It is worked out again here, from an index without them."""
    bank = fitted(Full(index=kind), stream)
    held_out = bank.state()["held_out"]
    assert len(held_out) == 200
    others = torch.ones(2000, dtype=torch.bool)
    others[held_out] = False
    kept = bank.vectors[others]
    index = ApproximateIndex(kept, bank.config, torch.empty(0, dtype=torch.int64), "bank 'full'")
    true = exact_search(bank.vectors[held_out], kept, 10)[1]
    for k in (1, 10):
        found = index.search(bank.vectors[held_out], k)[1]
        recall = (true[:, :k, None] == found[:, None, :]).any(2).float().mean().item()
        assert bank.facts()[f"recall@{k}"] == pytest.approx(recall, abs=0.02)
    assert index.recall == {}


def test_less_effort_finds_less(stream):
    recalls = [fitted(Full(index="ivf", nlist=100, nprobe=probe), stream).facts()["recall@10"] for probe in (1, 5, 100)]
    assert recalls[0] < recalls[1] < recalls[2] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_that_of_the_index(kind, stream):
    bank = fitted(Coreset(count=900, index=kind), stream)
    assert bank.facts()["index_mb"] == len(faiss.serialize_index(bank._index()._index)) / 1e6


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_repeatable_and_survives_its_state(kind, stream, draw):
    query = 30 + 4 * draw(300, 16, seed=2)
    bank, again = (fitted(Full(index=kind), stream) for _ in range(2))
    restored = Full(index=kind)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 5, 40])
def test_few_vectors_are_enough(kind, n, given, draw):
    bank = fitted(Full(index=kind), given(draw(1, 1, n, 3)))
    distances, indices = bank.search(bank.vectors, n)
    assert distances[:, 0].tolist() == [0] * n
    assert indices.sort(1).values.tolist() == [list(range(n))] * n


def test_cells_that_hold_too_few_are_asked_exactly(given, draw):
    bank = fitted(Full(index="ivf", nlist=30, nprobe=1), given(draw(1, 1, 60, 3)))
    query = draw(20, 3, seed=1)
    torch.testing.assert_close(bank.search(query, 40), exact_search(query, bank.vectors, 40), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_own_nothing_may_be_left_out(kind, stream, draw):
    bank = fitted(Full(index=kind), stream)
    query = 30 + draw(5, 16)
    torch.testing.assert_close(bank.search(query, 2, exclude=["stranger"] * 5), bank.search(query, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_cannot_do_is_refused(kind, stream, draw):
    bank = fitted(Full(index=kind), stream)
    with pytest.raises(UsageError, match="cannot leave out an image's own vectors; use index=exact"):
        bank.search(draw(1, 16), 1, exclude=["image 0"])
    with pytest.raises(UsageError, match="has an index for l2, but is asked for cosine; give it index_metric=cosine"):
        bank.search(draw(1, 16), 1, "cosine")
    with pytest.raises(UsageError, match="cannot find 2001 neighbours among 2000"):
        bank.search(draw(1, 16), 2001)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": "pq", "m": 5}, "option 'm' of bank 'full' has to be a divisor of the 16 channels"),
        ({"index": "pq", "nbits": 12}, "option 'nbits' of bank 'full' has to be at most 10 for 1800 vectors"),
        ({"index": "ivf", "nlist": 5000}, "option 'nlist' of bank 'full' has to be at most the 1800 vectors"),
    ],
)
def test_options_that_do_not_fit_the_vectors_are_refused(options, message, stream):
    with pytest.raises(UsageError, match=message):
        fitted(Full(**options), stream)


@pytest.mark.parametrize(
    ("option", "owner"),
    [("nlist", "ivf"), ("nprobe", "ivf"), ("M", "hnsw"), ("ef", "hnsw"), ("m", "pq"), ("nbits", "pq")],
)
def test_an_option_of_another_index_is_refused(option, owner):
    for index in {"exact", *KINDS} - {owner}:
        with pytest.raises(UsageError, match=f"option '{option}' of bank 'coreset': .*is an option of index={owner}"):
            Coreset(index=index, **{option: 4})
    assert getattr(SearchConfig(index=owner, **{option: 4}), option) == 4
