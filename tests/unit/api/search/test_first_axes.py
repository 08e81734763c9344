"""A search along the first axes finds what measuring and sorting everything finds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.api.search import first_axes, pca_bound
from adbench.api.search.first_axes import FirstAxes, alike
from adbench.api.search.pca_bound import ProjectedRows
from adbench.search import ExactIndex, nearest_among

ROWS, QUERIES = 240, 60


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def flat(rows, seed=0, noise=0.05, channels=60):
    """Near 16 of many dimensions, which differ in size."""
    spread = draw(rows, 16, seed=seed) * 5 * 0.8 ** torch.arange(16)
    return spread @ draw(16, channels, seed=9) + noise * draw(rows, channels, seed=seed + 1)


DATA = {
    "spread": lambda seed: (flat(ROWS, seed), flat(QUERIES, seed + 5)),
    "near their queries": lambda seed: (flat(ROWS, seed), flat(ROWS, seed)[:QUERIES] + 0.02 * draw(QUERIES, 60)),
    "off the origin": lambda seed: (flat(ROWS, seed) + 300, flat(QUERIES, seed + 5) + 300),
    "off the axes": lambda seed: (flat(ROWS, seed), 9 * draw(QUERIES, 60, seed=seed)),
    "nearly equal": lambda seed: (1 + 1e-5 * flat(ROWS, seed), 1 + 1e-5 * flat(QUERIES, seed + 5)),
    "twins": lambda seed: (flat(24, seed).repeat(10, 1), flat(24, seed).repeat(3, 1)[:QUERIES]),
    "twins of others": lambda seed: (flat(24, seed).repeat(10, 1), flat(QUERIES, seed + 5)),
    "nearly twins": lambda seed: (
        flat(24, seed).repeat(10, 1) * (1 + 1e-6 * draw(ROWS, 1, seed=seed)),
        flat(24, seed).repeat(3, 1)[:QUERIES],
    ),
    "corners": lambda seed: (flat(ROWS, seed, noise=0).sign(), flat(QUERIES, seed + 5, noise=0).sign() / 2),
    "zeros among others": lambda seed: (
        torch.cat([torch.zeros(40, 60), flat(ROWS - 40, seed)]),
        torch.cat([flat(QUERIES - 9, seed + 5), torch.zeros(9, 60)]),
    ),
    "one row far away": lambda seed: (
        torch.cat([flat(ROWS - 1, seed), 1e5 * draw(1, 60)]),
        flat(QUERIES, seed + 5),
    ),
    "queries far away": lambda seed: (flat(ROWS, seed), 10 ** draw(QUERIES, 1, seed=seed).mul(9) * draw(QUERIES, 60)),
    "long": lambda seed: (1e8 * flat(ROWS, seed), 1e8 * flat(QUERIES, seed + 5)),
    "short": lambda seed: (1e-9 * flat(ROWS, seed), 1e-9 * flat(QUERIES, seed + 5)),
}


@pytest.fixture
def anywhere(monkeypatch):
    """Any number of rows, channels and queries, in small blocks."""
    monkeypatch.setattr("adbench.api.search.bfloats.products_are_fast", lambda: False)
    for owner, name, value in (
        (ProjectedRows, "LEAST_ROWS", 1),
        (ProjectedRows, "LEAST_CHANNELS", 1),
        (ProjectedRows, "SHARE", 0.99),
        (FirstAxes, "LEAST_ROWS", 1),
        (FirstAxes, "LEAST_QUERIES", 1),
        (FirstAxes, "STAGES", (2, 4)),
        (pca_bound, "STEP", 4),
        (first_axes, "TILE", 16),
        (first_axes, "HEIGHT", 50),
        (first_axes, "SAMPLED", 7),
    ):
        monkeypatch.setattr(owner, name, value)


@pytest.fixture
def otherwise(monkeypatch):
    """The numbers of queries that are searched again in another way."""
    counts, plain = [], ExactIndex._by_projection
    monkeypatch.setattr(
        ExactIndex,
        "_by_projection",
        lambda self, projected, query, **rest: counts.append(len(query)) or plain(self, projected, query, **rest),
    )
    return counts


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(DATA)),
    k=st.integers(1, 5),
    metric=st.sampled_from(["l2", "cosine"]),
    excluding=st.booleans(),
    least=st.sampled_from([1, 20, 500]),
    seed=st.integers(0, 99),
)
def test_finds_what_measuring_everything_finds(name, k, metric, excluding, least, seed):
    vectors, query = DATA[name](seed)
    owners = [str(place // 80) for place in range(ROWS)] if excluding else None
    exclude = owners and [str(place % 4) for place in range(QUERIES)]
    without = owners and torch.tensor([[owner == asking for owner in owners] for asking in exclude])
    every = torch.arange(ROWS).expand(QUERIES, -1)
    wanted = nearest_among(query, vectors, every, k, metric, without)
    with pytest.MonkeyPatch.context() as patch:
        anywhere.__wrapped__(patch)
        patch.setattr(FirstAxes, "LEAST_CANDIDATES", least)
        index = ExactIndex(vectors, metric, owners=owners)
        found = index.search(query, k, exclude)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("k", [1, 3])
def test_most_queries_need_nothing_else(metric, k, otherwise):
    index = ExactIndex(DATA["spread"](0)[0], metric)
    assert [stage.shape[1] for stage in index._first.stages] == [4, 6]
    index.search(DATA["spread"](0)[1], k)
    assert sum(otherwise) == 0


@pytest.mark.usefixtures("anywhere")
def test_excluded_rows_give_no_limit(otherwise):
    vectors, owners = flat(ROWS), [str(place // 80) for place in range(ROWS)]
    index = ExactIndex(vectors, owners=owners)
    assert index.search(vectors[:QUERIES], 1, ["0"] * QUERIES)[1].min() >= 80
    assert sum(otherwise) == 0


@pytest.mark.usefixtures("anywhere")
def test_a_query_with_too_many_candidates_is_searched_in_another_way(otherwise, monkeypatch):
    monkeypatch.setattr(FirstAxes, "LEAST_CANDIDATES", 5)
    vectors = torch.cat([flat(ROWS - 40), flat(1, seed=3).repeat(40, 1)])
    query = torch.cat([flat(QUERIES - 1, seed=5), vectors[-1:]])
    distances, indices = ExactIndex(vectors).search(query, 1)
    assert sum(otherwise) >= 1
    assert (distances[-1], indices[-1]) == (0, ROWS - 40)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_query_that_is_no_number_hides_nothing_from_others(odd):
    vectors, query = DATA["spread"](0)
    wanted = ExactIndex(vectors).search(query, 1)
    query = query.clone()
    query[7, 3] = odd
    found = ExactIndex(vectors).search(query, 1)
    others = torch.arange(QUERIES) != 7
    for part, other in zip(found, wanted, strict=True):
        assert torch.equal(part[others], other[others])


@pytest.mark.usefixtures("anywhere")
def test_an_index_that_the_first_axes_do_not_help_goes_on_without_them(monkeypatch):
    monkeypatch.setattr(FirstAxes, "LEAST_CANDIDATES", 1)
    vectors, query = flat(9).repeat(30, 1), flat(600, seed=5)
    index = ExactIndex(vectors)
    wanted = nearest_among(query, vectors, torch.arange(270).expand(600, -1), 1, "l2")
    for _ in range(2):
        torch.testing.assert_close(index.search(query, 1), wanted, rtol=0, atol=0)
    assert index._first is None


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100, 1600])
def test_points_that_are_alike_come_together(count):
    points = draw(count, 3)
    parts = alike(points, 16)
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    assert all(len(part) <= 16 for part in parts)
    if count == 1600:
        assert len(parts) == 100
        within = sum(float(points[part].var(0).sum()) for part in parts) / 100
        assert within < 0.25 * float(points.var(0).sum())
