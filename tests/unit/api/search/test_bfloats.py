"""A search by products in bfloat16 finds what measuring and sorting everything finds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.api.search import bfloats
from adbench.api.search.bfloats import BfloatRows
from adbench.api.search.candidates import Block
from adbench.api.search.owners import Excluded, Owners
from adbench.api.search.pca_bound import ProjectedRows
from adbench.search import ExactIndex, nearest_among


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


HALF = 2.0**-8  # between a number from 1 to 2 and the next of bfloat16


def mirrored(*rows, others):
    """90 rows whose mean is zero: these, others that bfloat16 holds, and all of them negated."""
    given = torch.stack(rows)
    return torch.cat([given, torch.full((45 - len(given), given.shape[1]), others)]).repeat_interleave(2, 0) * SIGNS


SIGNS = torch.tensor([1.0, -1.0]).repeat(45)[:, None]


def rows_turned(_, channels):
    """Of two rows, rounding moves the nearer one away from the queries and the farther one towards them."""
    near = torch.full((channels,), 1 + HALF + 2.0**-14)
    far = torch.full((channels,), 1 + HALF - 2.0**-14)
    far[-1] = (far[-1] ** 2 + 1.02 * (near.square().sum() - far.square().sum())).sqrt()
    return mirrored(near, far, others=1.25), torch.zeros(40, channels)


def queries_turned(_, channels):
    """Rounding moves each query away from the row that is nearest, towards another one."""
    query = torch.full((channels,), 1 + HALF + 2.0**-14)
    other = torch.full((channels,), 2.0)
    place = 0
    while (other - query).norm() <= query.norm():
        other[place] += 2.0**-6
        place += 1
    return mirrored(torch.zeros(channels), other, others=3.0), query.expand(40, channels)


DATA = {
    "spread": lambda seed, c: (draw(90, c, seed=seed), draw(40, c, seed=seed + 1)),
    "rows turned by rounding": rows_turned,
    "queries turned by rounding": queries_turned,
    "far from the origin": lambda seed, c: (draw(90, c, seed=seed) + 1e4, draw(40, c, seed=seed + 1) + 1e4),
    "nearly equal": lambda seed, c: (1 + 1e-6 * draw(90, c, seed=seed), 1 + 1e-6 * draw(40, c, seed=seed + 1)),
    "twins": lambda seed, c: (draw(9, c, seed=seed).repeat(10, 1), draw(9, c, seed=seed).repeat(5, 1)[:40]),
    "nearly twins": lambda seed, c: (
        draw(9, c, seed=seed).repeat(10, 1) * (1 + 1e-3 * draw(90, 1, seed=seed)),
        draw(9, c, seed=seed).repeat(5, 1)[:40],
    ),
    "one row far away": lambda seed, c: (
        torch.cat([draw(89, c, seed=seed), 1e6 * draw(1, c)]),
        draw(40, c, seed=seed + 1),
    ),
    "queries far away": lambda seed, c: (draw(90, c, seed=seed), 10 ** draw(40, 1, seed=seed).mul(9) * draw(40, c)),
    "zeros among others": lambda seed, c: (
        torch.cat([draw(80, c, seed=seed), torch.zeros(10, c)]),
        torch.cat([draw(30, c), torch.zeros(10, c)]),
    ),
    "long": lambda seed, c: (1e8 * draw(90, c, seed=seed), 1e8 * draw(40, c, seed=seed + 1)),
    "short": lambda seed, c: (1e-8 * draw(90, c, seed=seed), 1e-8 * draw(40, c, seed=seed + 1)),
}


@pytest.fixture
def anywhere(monkeypatch):
    """Any processor and any number of rows and queries, in groups and without."""
    monkeypatch.setattr(bfloats, "products_are_fast", lambda: True)
    monkeypatch.setattr(bfloats, "WIDE", 64)
    for limit in ("LEAST_ROWS", "LEAST_CHANNELS", "LEAST_QUERIES"):
        monkeypatch.setattr(BfloatRows, limit, 1)


def rows_of(vectors, height=1000):
    """Rows whose mean is zero, in blocks."""
    every = torch.arange(len(vectors))

    def blocks():
        return (Block(vectors[some], vectors[some].square().sum(1), some) for some in torch.split(every, height))

    return BfloatRows.if_faster(blocks, tuple(vectors.shape), directions=False)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(DATA)),
    channels=st.integers(1, 40),
    k=st.integers(1, 4),
    metric=st.sampled_from(["l2", "cosine"]),
    excluding=st.booleans(),
    seed=st.integers(0, 99),
)
def test_finds_what_measuring_everything_finds(name, channels, k, metric, excluding, seed):
    vectors, query = DATA[name](seed, channels)
    owners = [str(place // 30) for place in range(90)] if excluding else None
    exclude = owners and [str(place % 4) for place in range(40)]
    without = owners and torch.tensor([[owner == asking for owner in owners] for asking in exclude])
    every = torch.arange(90).expand(40, -1)
    wanted = nearest_among(query, vectors, every, k, metric, without)
    with pytest.MonkeyPatch.context() as patch:
        anywhere.__wrapped__(patch)
        patch.setattr(BfloatRows, "MOST_GROUPS", 1 + seed % 20)
        found = ExactIndex(vectors, metric, owners=owners).search(query, k, exclude)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("height", [1000, 32], ids=["one block", "many blocks"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    "name", ["spread", "rows turned by rounding", "queries turned by rounding", "zeros among others", "twins"]
)
def test_no_row_that_may_be_the_nearest_is_left_out(name, k, height):
    vectors, query = DATA[name](3, 24)
    center = vectors.mean(0)
    vectors, query = vectors - center, query - center
    true = torch.cdist(query.double(), vectors.double())
    nearest = true.sort(dim=1, stable=True).indices[:, :k].tolist()
    found = rows_of(vectors, height).candidates(query, k, None)
    pairs = set(zip(found.query.tolist(), found.row.tolist(), strict=True))
    assert {(one, row) for one in found.certain.nonzero()[0] for row in nearest[one]} <= pairs
    assert found.certain.any()


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("name", sorted(DATA))
def test_rounding_and_sums_move_a_distance_by_no_more_than_the_bounds(name):
    vectors, query = DATA[name](3, 24)
    vectors, query = vectors - vectors.mean(0), query - vectors.mean(0)
    rows = rows_of(vectors)
    asked, lengths = rows._asked(query)
    bound = bfloats._Bound.of(lengths, rows._reach, rows._moved, rows._width)
    true = torch.cdist(query.double(), vectors.double())
    moved = torch.cdist(asked[:, :24].double(), rows._blocks[0][0][:24, :90].double().T / -2)
    product = (asked.double() @ rows._blocks[0][0].double())[:, :90]
    found = torch.mm(asked, rows._blocks[0][0])[:, :90].double()
    rounding, summing = (torch.from_numpy(part).double()[:, None] for part in (bound.rounding, bound.summing))
    assert ((moved - true).abs() <= rounding).all()
    assert ((product - moved.square()).abs() <= summing).all()
    assert ((found - product).abs() <= bfloats.UNIT * product.abs() + summing).all()


@pytest.mark.usefixtures("anywhere")
def test_few_rows_are_candidates():
    vectors = draw(4000, 64)
    found = rows_of(vectors).candidates(vectors[:300] + 0.3 * draw(300, 64, seed=1), 1, None)
    assert found.certain.all()
    assert len(found.row) < 330


@pytest.mark.usefixtures("anywhere")
def test_excluded_rows_are_no_candidates():
    vectors = draw(90, 24)
    owners = Owners([str(place // 30) for place in range(90)], torch.device("cpu"))
    excluded = Excluded(owners, owners.numbers(["0"] * 10 + ["nobody"] * 10))
    found = rows_of(vectors, 32).candidates(vectors[:20], 1, excluded)
    assert found.row[found.query < 10].min() >= 30
    assert sorted(found.row[found.query >= 10]) == list(range(10, 20))


@pytest.fixture
def in_float32(monkeypatch):
    """The numbers of queries that are searched in float32."""
    counts, plain = [], ExactIndex._by_floats
    monkeypatch.setattr(
        ExactIndex, "_by_floats", lambda self, query, **rest: counts.append(len(query)) or plain(self, query, **rest)
    )
    return counts


@pytest.mark.usefixtures("anywhere")
def test_most_queries_need_no_float32(in_float32):
    vectors = draw(1000, 40)
    ExactIndex(vectors).search(draw(300, 40, seed=1), 1)
    assert sum(in_float32) == 0


@pytest.mark.usefixtures("anywhere")
def test_queries_may_have_more_candidates_among_more_rows(in_float32, monkeypatch):
    """Of 10 clusters, each query's own has 200 rows that bfloat16 hardly tells apart."""
    centers = 3 * draw(10, 40, seed=1)
    vectors, query = centers.repeat(200, 1) + 0.1 * draw(2000, 40), centers.repeat(4, 1) + 0.1 * draw(40, 40, seed=2)
    wanted = nearest_among(query, vectors, torch.arange(2000).expand(40, -1), 1, "l2")
    needed = []
    for rows in (BfloatRows.PER_ROWS, 200):
        monkeypatch.setattr(BfloatRows, "PER_ROWS", rows)
        found = ExactIndex(vectors).search(query, 1)
        assert torch.equal(found[0], wanted[0])
        assert torch.equal(found[1], wanted[1])
        needed.append(sum(in_float32))
        in_float32.clear()
    assert needed[0] > 0 == needed[1]


@pytest.mark.usefixtures("anywhere")
def test_an_index_whose_rows_are_too_alike_goes_on_in_float32(in_float32, monkeypatch):
    monkeypatch.setattr(BfloatRows, "LEAST_QUERIES", 10)
    index = ExactIndex(torch.cat([1e-4 * draw(2000, 40), draw(1, 40)]))
    query = 1e-4 * draw(50, 40, seed=1)
    index.search(query[:30], 1)
    assert index._bfloats is not None, "few queries show little"
    index.search(query, 1)
    assert index._bfloats is None
    in_float32.clear()
    index.search(query, 1)
    assert in_float32[0] == 50


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("groups", [0, 32])
def test_rows_near_few_directions_go_along_their_axes_where_bfloats_do_not_suffice(groups, monkeypatch):
    """They are multiplied whole first; queries with too many candidates are searched along the leading axes."""
    monkeypatch.setattr(ProjectedRows, "LEAST_ROWS", 1)
    monkeypatch.setattr(BfloatRows, "MOST_GROUPS", groups)
    directions = draw(9, 300, seed=1)
    rows = draw(400, 9) @ directions + 0.1 * draw(400, 300, seed=2)
    query = draw(40, 9, seed=3) @ directions + 0.1 * draw(40, 300, seed=4)
    index, searched = ExactIndex(rows), []
    along = ExactIndex._by_projection
    monkeypatch.setattr(
        ExactIndex, "_by_projection", lambda *given, **named: searched.append(len(given[2])) or along(*given, **named)
    )
    found = index.search(query, 2)
    wanted = nearest_among(query, rows, torch.arange(400).expand(40, -1), 2, "l2")
    assert torch.equal(found[0], wanted[0])
    assert torch.equal(found[1], wanted[1])
    assert searched[:1] == ([40] if groups == 0 else [])


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e25])
def test_rows_without_a_usable_length_are_left_to_float32(number):
    vectors = draw(90, 24)
    vectors[3, 3] = number
    assert rows_of(vectors) is None
    assert rows_of(1e-25 * draw(90, 24)) is None


def test_few_rows_and_other_processors_are_left_to_float32(monkeypatch):
    vectors = draw(BfloatRows.LEAST_ROWS, BfloatRows.LEAST_CHANNELS)
    monkeypatch.setattr(bfloats, "products_are_fast", lambda: True)
    assert rows_of(vectors) is not None
    assert rows_of(vectors[1:]) is None
    assert rows_of(vectors[:, 1:]) is None
    monkeypatch.setattr(bfloats, "products_are_fast", lambda: False)
    assert rows_of(vectors) is None


def test_products_that_are_not_summed_in_float32_are_not_used(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert bfloats.products_are_fast.__wrapped__() is torch.backends.mkldnn.is_available()

    def rounding(left, right):
        total = torch.zeros(len(left), right.shape[1], dtype=torch.bfloat16)
        for place in range(left.shape[1]):
            total += left[:, place, None] * right[place]
        return total

    monkeypatch.setattr(torch, "mm", rounding)
    assert not bfloats.products_are_fast.__wrapped__()
