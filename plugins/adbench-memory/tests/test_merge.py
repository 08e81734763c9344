"""Merge and reduce stays in its room, keeps its guarantee, and is the exact greedy where everything fits."""

from __future__ import annotations

import pytest
import torch
from adbench_memory import merge
from adbench_memory.coreset import Coreset
from adbench_memory.kcenter import greedy_cover
from adbench_memory.merge import Budget, Pool

from adbench import Context, UsageError

pytestmark = pytest.mark.slow


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


def from_the_first(vectors, count):
    return greedy_cover(vectors, min(count, len(vectors)), 0)


def pooled(vectors, capacity, count, step=97):
    pool = Pool(capacity, vectors.shape[1], len(vectors), count, from_the_first, "cpu")
    for start in range(0, len(vectors), step):
        rows = vectors[start : start + step]
        pool.add(rows, torch.arange(start, start + len(rows)))
        assert pool.filled <= capacity
    return pool


def radius_of(vectors, centers):
    return torch.cdist(vectors, centers, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max().item()


def growing(n, channels, draw):
    """The later, the wider: an early reduction has seen little of it."""
    return draw(n, channels) * torch.linspace(0.1, 5, n)[:, None]


@pytest.mark.parametrize("data", ["gaussian", "growing", "clustered"])
@pytest.mark.parametrize(("capacity", "rounds"), [(4000, 1), (1000, 2), (200, 2), (120, 3)])
def test_the_radius_is_within_the_documented_factor(data, capacity, rounds, draw):
    vectors = draw(4000, 6)
    if data == "growing":
        vectors = growing(4000, 6, draw)
    if data == "clustered":
        vectors = 0.1 * vectors + 5 * draw(12, 6, seed=1)[torch.arange(4000) * 12 // 4000]
    merged = pooled(vectors, capacity, 20).coreset(20)
    exact = from_the_first(vectors, 20).radius
    assert merged.rounds >= rounds
    assert len(merged.vectors) == 20
    reached = radius_of(vectors, merged.vectors)
    assert reached <= merged.radius * (1 + 1e-6)
    assert merged.radius <= 2 * merged.rounds * exact
    assert torch.equal(vectors[merged.owners], merged.vectors)


def test_more_rounds_than_two_are_rare(draw):
    """Room for M gives two rounds up to about M^2 / (2 k) vectors."""
    vectors = draw(9000, 2)
    assert pooled(vectors, 600, 20, step=500).coreset(20).rounds == 2


@pytest.mark.parametrize("memory", [1.0, 7.5])
def test_where_everything_fits_it_is_the_exact_greedy(memory, given, draw):
    stream = given(draw(4, 5, 5, 6), draw(3, 5, 5, 6, seed=1))
    for options in ({"count": 9}, {"fraction": 0.5}, {"count": 9, "projection": "gaussian", "dim": 3}):
        streamed, plain = fitted(Coreset(memory=memory, **options), stream), fitted(Coreset(**options), stream)
        assert torch.equal(streamed.vectors, plain.vectors)
        assert streamed.owners == plain.owners
        assert streamed.facts()["rounds"] == 1


@pytest.fixture
def stream(given, draw):
    """6,144 vectors of 64 channels that vary mostly in the first of them, 1.6 MB."""
    return given(*(draw(2, 16, 16, 64, seed=seed) * 0.7 ** torch.arange(64) for seed in range(12)))


@pytest.fixture
def small(monkeypatch):
    """Selections that need little beside the vectors, so that a budget of a few MB means something."""
    monkeypatch.setattr("adbench_memory.kcenter.SHORTLIST", 64)
    monkeypatch.setattr("adbench_memory.kcenter.CACHED", (1 << 14, 1 << 14))
    monkeypatch.setattr("adbench_memory.sketch.SAMPLE", 64)
    monkeypatch.setattr("adbench_memory.sketch.BLOCK", 1 << 12)
    monkeypatch.setattr(merge, "SCRATCH", 500_000)
    monkeypatch.setattr(merge, "SCRATCH_ROWS", 640)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("options", [{}, {"projection": "gaussian", "dim": 8}])
def test_no_more_than_the_budget_is_held(options, stream, held):
    with held() as memory:
        bank = fitted(Coreset(count=50, memory=0.0011, **options), stream)
    batch = 2 * 16 * 16 * 64 * 4
    assert memory.peak < 1_100_000 + batch
    assert len(bank.vectors) == 50
    assert bank.facts()["rounds"] >= 2
    assert set(bank.owners) <= set(stream.ids)


@pytest.mark.usefixtures("small")
def test_the_seed_decides(stream):
    first, again, other = (fitted(Coreset(count=50, memory=0.0011), stream, seed) for seed in (3, 3, 4))
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)


@pytest.mark.usefixtures("small")
def test_owners_stay_with_their_vectors(stream):
    bank = fitted(Coreset(count=50, memory=0.0011), stream)
    everything = torch.cat([batch.patches for batch in stream]).reshape(24, 256, 64)
    for vector, owner in zip(bank.vectors, bank.owners, strict=True):
        assert (everything[stream.ids.index(owner)] == vector).all(1).any()


def test_too_little_memory_is_refused_with_what_it_takes(given, draw):
    stream = given(draw(4, 40, 40, 64))
    with pytest.raises(UsageError, match=r"cannot select 640 of 6,400 vectors in 0.001 GB; give it memory=0\.0\d+"):
        fitted(Coreset(memory=0.001), stream)


def test_a_budget_gives_what_it_takes():
    budget = Budget(384)
    for vectors in (1000, 1_000_000):
        assert budget.vectors(1.001 * budget.gigabytes(vectors)) >= vectors
    assert budget.vectors(1e-6) == 0
    assert Budget(384, device="cuda").vectors(3) < budget.vectors(3)


def test_grids_that_grow_too_much_are_refused(given, draw):
    stream = given(draw(3, 2, 2, 4), *(draw(1, 30, 30, 4, seed=seed) for seed in range(6)))
    with pytest.raises(UsageError, match="later images have more patches"):
        fitted(Coreset(fraction=0.9, memory=1), stream)


def test_twins_are_kept_once(given, draw):
    assert len(fitted(Coreset(count=8, memory=1), given(draw(1, 1, 3, 4).repeat(5, 2, 1, 1))).vectors) == 3
