import threading

import torch

from adbench.api.search import shared_results as module
from adbench.api.search.shared_results import SharedResults, digest_of, shared_results
from adbench.search import ExactIndex


def test_a_result_is_computed_once_and_charged_to_the_others(monkeypatch):
    ticks = iter([0.0, 2.5])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    shared = SharedResults(10_000)
    assert shared.once("key", lambda: "found", len) == "found"
    assert shared.charged == 0
    assert shared.once("key", lambda: "other", len) == "found"
    assert shared.charged == 2.5


def test_without_room_nothing_is_shared():
    shared = SharedResults()
    assert [shared.once("key", [number].copy, len) for number in (1, 2)] == [[1], [2]]
    with shared.used():
        assert shared_results() is None


def test_results_are_shared_inside_the_block_and_in_its_thread():
    shared, seen = SharedResults(10_000), []
    assert shared_results() is None
    with shared.used():
        assert shared_results() is shared
        thread = threading.Thread(target=lambda: seen.append(shared_results()))
        thread.start()
        thread.join()
        with SharedResults(1).used():
            assert shared_results() is not shared
        assert shared_results() is shared
    assert shared_results() is None
    assert seen == [None]


def test_a_digest_tells_type_shape_and_content_apart():
    zeros = torch.zeros(2, 3)
    tensors = [zeros, torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.float64), torch.ones(2, 3), torch.zeros(6)]
    digests = [digest_of(tensor) for tensor in tensors]
    assert len(set(digests)) == len(tensors)
    assert digest_of(torch.zeros(3, 2).T) == digests[0]


def test_an_index_shares_only_what_it_may(monkeypatch):
    vectors, query = torch.randn(40, 5), torch.randn(7, 5)
    searched, search = [], ExactIndex._search
    monkeypatch.setattr(ExactIndex, "_search", lambda *given: searched.append(given) or search(*given))
    with SharedResults(1 << 20).used():
        for share in (True, True, False, False):
            distances, _ = ExactIndex(vectors, share=share).search(query, 2)
            assert distances.shape == (7, 2)
        assert len(searched) == 3
        owners = [str(place) for place in range(40)]
        for _ in range(2):
            ExactIndex(vectors, owners=owners, share=True).search(query, 2, exclude=["3"] * 7)
        assert len(searched) == 5, "a search with exclusions is not shared"
