"""A search is what measuring and sorting everything gives, the lowest index among equals: on every path."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.api.search import bfloats, candidates, exact, first_axes, near_ties, pca_bound
from adbench.api.search.bfloats import BfloatRows
from adbench.api.search.first_axes import FirstAxes
from adbench.api.search.near_ties import EqualVectors
from adbench.api.search.pca_bound import ProjectedRows
from adbench.search import ExactIndex, nearest_among


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(*shape, seed=0, most=2):
    """Small whole numbers: few vectors, and many that are equally near."""
    return torch.randint(0, most, shape, generator=torch.Generator().manual_seed(seed)).float()


def expected(query, vectors, k, metric, owners=None, exclude=None):
    every = torch.arange(len(vectors)).expand(len(query), -1)
    without = owners and torch.tensor([[owner == asking for owner in owners] for asking in exclude])
    return nearest_among(query, vectors, every, k, metric, without)


@pytest.fixture(params=["plain", "many blocks", "not kept", "leading axes", "first axes", "halves", "bfloats"])
def path(request, monkeypatch):
    """Each way that a search can take, here."""
    if request.param == "many blocks":
        monkeypatch.setattr(exact, "BLOCK", 20_000)
    if request.param in {"leading axes", "first axes"}:
        monkeypatch.setattr(ProjectedRows, "LEAST_ROWS", 1)
        monkeypatch.setattr(ProjectedRows, "LEAST_CHANNELS", 96)
        monkeypatch.setattr(pca_bound, "STEP", 4)
    if request.param == "first axes":
        for limit in ("LEAST_ROWS", "LEAST_QUERIES"):
            monkeypatch.setattr(FirstAxes, limit, 1)
        monkeypatch.setattr(FirstAxes, "STAGES", (0, 1))
        monkeypatch.setattr(first_axes, "SAMPLED", 8)
    if request.param == "halves":
        monkeypatch.setattr(exact, "halves_are_faster", lambda _: True)
    if request.param == "bfloats":
        monkeypatch.setattr(bfloats, "products_are_fast", lambda: True)
        monkeypatch.setattr(bfloats, "WIDE", 64)
        for limit in ("LEAST_ROWS", "LEAST_CHANNELS", "LEAST_QUERIES"):
            monkeypatch.setattr(BfloatRows, limit, 1)
    return request.param


def flat(count, seed=0, channels=120):
    """Near four of many dimensions, as leading axes like them."""
    return draw(count, 4, seed=seed) @ draw(4, channels, seed=9)


CASES = {
    "every vector a hundred times": lambda seed: (draw(20, 24, seed=seed).repeat(100, 1), draw(90, 24, seed=seed + 1)),
    "scaled for what is there": lambda seed: (draw(20, 24, seed=seed).repeat(100, 1), draw(20, 24, seed=seed)),
    "all equal": lambda seed: (torch.full((1500, 24), 0.1), draw(40, 24, seed=seed)),
    "all zero": lambda _: (torch.zeros(1500, 24), torch.zeros(40, 24)),
    "zeros among others": lambda seed: (
        torch.cat([draw(700, 24, seed=seed), torch.zeros(800, 24)]),
        torch.zeros(9, 24),
    ),
    "corners of a cube": lambda seed: (whole(1800, 6, seed=seed), torch.full((30, 6), 0.5)),
    "whole numbers": lambda seed: (whole(1800, 8, seed=seed, most=3), whole(60, 8, seed=seed + 1, most=3)),
    "one far away": lambda seed: (
        torch.cat([draw(30, 24, seed=seed).repeat(50, 1), 1e5 * draw(1, 24)]),
        draw(60, 24, seed=seed),
    ),
    "nearly equal": lambda seed: (1 + 1e-6 * draw(1500, 24, seed=seed), 1 + 1e-6 * draw(60, 24, seed=seed + 1)),
    "scaled": lambda seed: (
        draw(20, 24, seed=seed).repeat(60, 1) * torch.arange(1.0, 1201)[:, None],
        draw(40, 24, seed=seed),
    ),
    "flat and repeated": lambda seed: (flat(30, seed).repeat(50, 1), flat(60, seed + 1)),
    "negative zeros": lambda seed: (
        torch.where(whole(900, 24, seed=seed) > 0, 0.0, -0.0) + 0 * draw(900, 24),
        draw(20, 24, seed=seed),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_of_equals_the_lowest_index(name, metric, path):
    vectors, query = CASES[name](3)
    index = ExactIndex(vectors, metric, keep=path != "not kept")
    for k in (1, 3, 70):
        torch.testing.assert_close(index.search(query, k), expected(query, vectors, k, metric), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_of_equals_that_may_be_found_the_lowest_index(name, path):
    vectors, query = CASES[name](5)
    owners = [f"image {place * 7 // len(vectors)}" for place in range(len(vectors))]
    exclude = [["image 0", "a stranger", "image 3", "image 6"][place % 4] for place in range(len(query))]
    index = ExactIndex(vectors, owners=owners, keep=path != "not kept")
    for k in (1, 5):
        wanted = expected(query, vectors, k, "l2", owners, exclude)
        torch.testing.assert_close(index.search(query, k, exclude), wanted, rtol=0, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    distinct=st.integers(1, 40),
    copies=st.integers(1, 60),
    channels=st.integers(1, 12),
    most=st.integers(1, 4),
    k=st.integers(1, 9),
    metric=st.sampled_from(["l2", "cosine"]),
    images=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_any_number_of_equal_vectors(distinct, copies, channels, most, k, metric, images, seed):  # noqa: PLR0917
    vectors = whole(distinct, channels, seed=seed, most=most + 1).repeat(copies, 1) - most / 2
    vectors = vectors[torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))]
    query = torch.cat([vectors[:5], whole(7, channels, seed=seed + 1, most=5)])
    owners = [str(place * max(1, images) // len(vectors)) for place in range(len(vectors))] if images > 1 else None
    exclude = owners and [str(place % (images + 1)) for place in range(len(query))]
    k = min(k, len(vectors) - max((owners.count(owner) for owner in owners or ()), default=0))
    if k > 0:
        found = ExactIndex(vectors, metric, owners=owners).search(query, k, exclude)
        torch.testing.assert_close(
            found, expected(query, vectors, k, metric, owners, exclude), rtol=0, atol=0, equal_nan=True
        )


def test_what_is_asked_for_together_is_what_is_asked_for_alone():
    """The answer for fewer is the beginning of that for more."""
    vectors, query = CASES["whole numbers"](1)
    index = ExactIndex(vectors)
    distances, indices = index.search(query, 50)
    for k in (1, 2, 49):
        torch.testing.assert_close(index.search(query, k), (distances[:, :k], indices[:, :k]), rtol=0, atol=0)


def test_equal_vectors_are_found_by_their_numbers():
    vectors = whole(500, 3, most=2)
    vectors[::2] *= -1  # negative zeros
    equal = EqualVectors.of(vectors, 64)
    for k in (1, 2, 5):
        seen: dict[tuple[float, ...], int] = {}
        kept = []
        for place, row in enumerate(vectors.tolist()):
            seen[tuple(row)] = seen.get(tuple(row), 0) + 1
            kept += [place] if seen[tuple(row)] <= k else []
        assert equal.first(k, None).tolist() == kept
    allowed = torch.arange(500) >= 250
    assert equal.first(1, allowed).min() >= 250
    assert len(equal.first(1, allowed)) == len({tuple(row) for row in vectors[250:].tolist()})


def test_vectors_of_one_hash_by_chance_stay_apart(monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.zeros(3, dtype=torch.int64))
    same = EqualVectors.of(torch.zeros(9, 3), 4)
    assert same.first(1, None).tolist() == [0]
    mixed = torch.tensor([[1.0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 0]])
    assert 2 in EqualVectors.of(mixed, 3).first(1, None).tolist()


def test_many_pairs_are_thinned_out_on_the_way(monkeypatch):
    monkeypatch.setattr(near_ties, "PAIRS", 500)
    monkeypatch.setattr(exact, "BLOCK", 20_000)
    monkeypatch.setattr(candidates, "QUERIES", 16)
    vectors, query = CASES["corners of a cube"](2)
    torch.testing.assert_close(
        ExactIndex(vectors).search(query, 70), expected(query, vectors, 70, "l2"), rtol=0, atol=0
    )
