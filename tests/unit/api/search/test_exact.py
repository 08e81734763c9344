import pytest
import torch

from adbench import UsageError
from adbench.api.networks.threads import one_thread
from adbench.api.search import exact
from adbench.api.search.pca_bound import ProjectedRows
from adbench.search import ExactIndex, exact_search, nearest_among


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_search(query, vectors, k, metric):
    """Every distance in double precision."""
    query, vectors = query.double(), vectors.double()
    if metric == "l2":
        distances = torch.stack([(vectors - one).norm(dim=1) for one in query])
    else:
        distances = torch.stack([1 - torch.cosine_similarity(vectors, one[None], dim=1) for one in query])
    return distances.sort(dim=1, stable=True).values[:, :k], distances


@pytest.fixture(params=[1 << 22, 1500], ids=["one block", "many blocks"])
def block(request, monkeypatch):
    monkeypatch.setattr(exact, "BLOCK", request.param)


@pytest.mark.slow
@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("k", [1, 7])
def test_finds_what_double_precision_finds(metric, offset, k):
    vectors, query = draw(700, 12) + offset, draw(40, 12, seed=1) + offset
    distances, indices = exact_search(query, vectors, k, metric)
    expected, every = slow_search(query, vectors, k, metric)
    torch.testing.assert_close(distances.double(), expected, rtol=1e-5 if metric == "l2" else 1e-3, atol=1e-7)
    torch.testing.assert_close(every.gather(1, indices), expected, rtol=1e-5 if metric == "l2" else 1e-3, atol=1e-7)
    assert distances.dtype == torch.float32
    assert indices.dtype == torch.int64


def test_small_distances_keep_their_digits():
    vectors = draw(50, 64) + 100
    query = vectors + 1e-4 * draw(50, 64, seed=1)
    distances, indices = exact_search(query, vectors, 1)
    assert indices[:, 0].tolist() == list(range(50))
    torch.testing.assert_close(distances[:, 0], (query - vectors).norm(dim=1))


def test_a_vector_finds_itself_at_zero_and_the_first_of_equal_vectors():
    vectors = draw(30, 5).repeat(2, 1)
    for metric in ("l2", "cosine"):
        distances, indices = exact_search(vectors[30:], vectors, 2, metric)
        assert distances.tolist() == [[0, 0]] * 30
        assert indices.tolist() == [[place, place + 30] for place in range(30)]


def test_a_zero_vector_has_no_direction():
    vectors = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert exact_search(torch.zeros(1, 2), vectors, 3, "cosine")[0].tolist() == [[1, 1, 1]]
    distances, indices = exact_search(torch.tensor([[2.0, 0.0]]), vectors, 3, "cosine")
    assert (distances.tolist(), indices.tolist()) == ([[0, 1, 2]], [[1, 0, 2]])


@pytest.mark.usefixtures("block")
def test_an_image_never_matches_itself():
    vectors, owners = draw(600, 6), [f"image {index % 3}" for index in range(600)]
    asking = ["image 0", "stranger", "image 2", "image 0"]
    query = vectors[[0, 1, 2, 3]]
    distances, indices = exact_search(query, vectors, 4, owners=owners, exclude=asking)
    for row, own in enumerate(asking):
        assert own not in {owners[index] for index in indices[row].tolist()}
        others = torch.tensor([owner != own for owner in owners])
        torch.testing.assert_close(distances[row], exact_search(query[row : row + 1], vectors[others], 4)[0][0])


def test_no_query_gives_no_answer():
    distances, indices = exact_search(torch.empty(0, 3), draw(5, 3), 2)
    assert distances.shape == indices.shape == (0, 2)


@pytest.mark.parametrize("k", [0, 6])
def test_k_is_at_most_the_bank(k):
    with pytest.raises(UsageError, match=f"cannot find {k} neighbours among 5 vectors; ask for 1 to 5"):
        exact_search(draw(2, 3), draw(5, 3), k)


def test_k_is_at_most_the_number_of_vectors_of_others():
    with pytest.raises(UsageError, match="among 2 vectors"):
        exact_search(draw(1, 3), draw(5, 3), 3, owners=["a", "a", "a", "b", "b"], exclude=["a"])


def test_unknown_metrics_and_missing_owners_are_refused():
    with pytest.raises(UsageError, match="unknown metric 'l1'"):
        exact_search(draw(1, 3), draw(5, 3), 1, "l1")
    with pytest.raises(UsageError, match="owner of each vector"):
        exact_search(draw(1, 3), draw(5, 3), 1, exclude=["a"])


@pytest.mark.slow
@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_stored_blocks_change_nothing(metric):
    vectors, query = draw(700, 12) + 20, draw(40, 12, seed=1) + 20
    owners = [f"image {index % 5}" for index in range(700)]
    index = ExactIndex(vectors, metric, owners=owners)
    for exclude in (None, ["image 2"] * 40):
        expected = exact_search(query, vectors, 3, metric, owners=owners, exclude=exclude)
        torch.testing.assert_close(index.search(query, 3, exclude), expected, rtol=0, atol=0)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_vectors_are_made_ready_once(metric, monkeypatch):
    rows, plain = [], ExactIndex._prepared
    monkeypatch.setattr(ExactIndex, "_prepared", lambda self, some: rows.append(len(some)) or plain(self, some))
    index = ExactIndex(draw(700, 12), metric)
    assert sum(rows) == 700
    index.search(draw(40, 12), 1)
    index.search(draw(9, 12), 1)
    assert sum(rows) == 749


@pytest.fixture
def halves(monkeypatch):
    """The way of GPUs, here; it counts the queries that are scaled again in float32."""
    again, plain = [], ExactIndex._by_floats
    monkeypatch.setattr(exact, "halves_are_faster", lambda vectors: True)
    monkeypatch.setattr(
        ExactIndex, "_by_floats", lambda self, query, **rest: again.append(len(query)) or plain(self, query, **rest)
    )
    return again


HALVES = {
    "spread": (draw(3000, 24), draw(200, 24, seed=1)),
    "off the origin": (draw(3000, 24) + 50, draw(200, 24, seed=1) + 50),
    "tiny": (1e-4 * draw(3000, 24), 1e-4 * draw(200, 24, seed=1)),
    "huge": (1e6 * draw(3000, 24), 1e6 * draw(200, 24, seed=1)),
    "queries far away": (draw(3000, 24), 1e7 * draw(200, 24, seed=1)),
    "all nearly alike": (1 + 1e-3 * draw(3000, 24), 1 + 1e-3 * draw(200, 24, seed=1)),
    "twins": (draw(1000, 24).repeat(3, 1), draw(200, 24, seed=1)),
    "an outlier": (torch.cat([draw(2999, 24), 1e4 * draw(1, 24, seed=2)]), draw(200, 24, seed=1)),
    "few": (draw(20, 24), draw(200, 24, seed=1)),
    "one vector": (draw(1, 24), draw(200, 24, seed=1)),
    "zeros": (torch.zeros(50, 24), draw(200, 24, seed=1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("k", [1, 5])
def test_half_precision_gives_the_answers_of_float32(name, metric, k, halves):
    vectors, query = HALVES[name]
    k = min(k, len(vectors))
    found = ExactIndex(vectors, metric).search(query, k)
    torch.testing.assert_close(found, exact_search(query, vectors, k, metric), rtol=0, atol=0)


def test_half_precision_answers_most_queries_by_itself(halves):
    ExactIndex(*HALVES["spread"][:1]).search(HALVES["spread"][1], 1)
    assert sum(halves) < 20


@pytest.fixture
def leading(monkeypatch):
    """The way of many vectors of many channels, here; it counts the queries that are scaled again."""
    again, plain = [], ExactIndex._by_floats
    monkeypatch.setattr(ProjectedRows, "LEAST_ROWS", 1)
    monkeypatch.setattr(ProjectedRows, "LEAST_CHANNELS", 96)
    monkeypatch.setattr(
        ExactIndex, "_by_floats", lambda self, query, **rest: again.append(len(query)) or plain(self, query, **rest)
    )
    return again


def flat(rows, seed=0):
    """Near eight dimensions of many."""
    return draw(rows, 8, seed=seed) @ draw(8, 120, seed=9) + 0.05 * draw(rows, 120, seed=seed + 1)


LEADING = {
    "spread": (flat(3000), flat(200, seed=4)),
    "off the origin": (flat(3000) + 50, flat(200, seed=4) + 50),
    "tiny": (1e-6 * flat(3000), 1e-6 * flat(200, seed=4)),
    "huge": (1e15 * flat(3000), 1e15 * flat(200, seed=4)),
    "overflowing": (1e30 * flat(3000), 1e30 * flat(200, seed=4)),
    "off the axes": (flat(3000), draw(200, 120)),
    "all nearly alike": (1 + 1e-3 * flat(3000), 1 + 1e-3 * flat(200, seed=4)),
    "twins": (flat(1000).repeat(3, 1), flat(200, seed=4)),
    "many ties": (torch.cat([flat(2000), 1e-3 * flat(1000, seed=7)]), 1e-3 * flat(200, seed=4)),
    "few": (flat(40), flat(200, seed=4)),
    "one vector": (flat(1), flat(200, seed=4)),
    "some zeros": (torch.cat([torch.zeros(20, 120), flat(300)]), torch.cat([torch.zeros(2, 120), flat(9)])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEADING)
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("k", [1, 5])
def test_leading_axes_give_the_answers_of_all_channels(name, metric, k, leading):
    vectors, query = LEADING[name]
    k = min(k, len(vectors))
    found = ExactIndex(vectors, metric).search(query, k)
    expected = exact_search(query, vectors, k, metric)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_leading_axes_answer_by_themselves(metric, leading):
    index = ExactIndex(*LEADING["spread"][:1], metric)
    assert index._projected.rows.shape[1] == 32
    index.search(LEADING["spread"][1], 1)
    assert sum(leading) == 0


def test_vectors_without_leading_axes_are_searched_in_full(leading):
    assert ExactIndex(draw(3000, 120))._projected is None


def test_nearest_among_candidates():
    vectors, query = draw(50, 5), draw(7, 5, seed=1)
    candidates = torch.stack([torch.randperm(50, generator=torch.Generator().manual_seed(row))[:9] for row in range(7)])
    for metric in ("l2", "cosine"):
        distances, indices = nearest_among(query, vectors, candidates, 4, metric)
        for row in range(7):
            some = candidates[row].sort().values
            expected = exact_search(query[row : row + 1], vectors[some], 4, metric)
            assert torch.equal(distances[row], expected[0][0])
            assert torch.equal(indices[row], some[expected[1][0]])


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("excluding", [False, True])
def test_pieces_of_queries_have_the_answers_of_all_together(metric, excluding, monkeypatch):
    monkeypatch.setattr(exact, "PIECE", 1)
    vectors, query = draw(300, 12), draw(41, 12, seed=1)
    owners = [f"image {number % 5}" for number in range(300)]
    exclude = [f"image {number % 7}" for number in range(41)] if excluding else None
    index, asked, plain = ExactIndex(vectors, metric, owners=owners), [], ExactIndex._searched
    expected = index.search(query, 2, exclude)
    monkeypatch.setattr(
        ExactIndex, "_searched", lambda self, some, *rest: asked.append(len(some)) or plain(self, some, *rest)
    )
    with one_thread():
        torch.testing.assert_close(index.search(query, 2, exclude), expected, rtol=0, atol=0)
        assert sorted(asked) == [13, 14, 14]
        with pytest.raises(UsageError, match="one id for each query"):
            index.search(query, 2, [*(exclude or ["x"] * 41), "one more"])
