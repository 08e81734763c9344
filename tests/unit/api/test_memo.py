from __future__ import annotations

import torch

from adbench.search import Memo


def test_what_is_recalled_is_charged_for(monkeypatch):
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr("adbench.api.memo.time.perf_counter", lambda: next(ticks))
    memo = Memo(100)
    assert memo.once("key", lambda: "found", len) == "found"
    assert memo.charged == 0
    assert memo.once("key", lambda: "other", len) == "found"
    assert memo.charged == 2.5


def test_without_a_budget_nothing_is_remembered():
    memo = Memo()
    assert [memo.once("key", lambda: 1, lambda _: 1), memo.once("key", lambda: 2, lambda _: 1)] == [1, 2]
    assert memo.find("key") is None


def test_the_least_recently_used_leaves_first():
    memo = Memo(10)
    memo.keep("a", "a", 4)
    memo.keep("b", "b", 4)
    assert memo.find("a") == "a"
    memo.keep("c", "c", 4)
    assert [memo.find(key) for key in "abc"] == ["a", None, "c"]


def test_what_is_too_large_is_not_kept_and_takes_nobody_s_place():
    memo = Memo(10)
    memo.keep("a", "a", 4)
    memo.keep("b", "b", 11)
    assert [memo.find(key) for key in "ab"] == ["a", None]


def test_a_longer_result_takes_the_place_of_the_shorter():
    memo = Memo(10)
    for length in range(1, 9):
        memo.keep("a", "a" * length, length)
    memo.keep("b", "b", 2)
    assert [memo.find(key) for key in "ab"] == ["aaaaaaaa", "b"]


def test_what_was_there_before_is_forgotten():
    memo = Memo(10)
    memo.keep("a", "a", 1)
    memo.forget()
    memo.keep("b", "b", 1)
    assert [memo.find(key) for key in "ab"] == [None, None]


def test_a_digest_is_of_type_shape_and_content():
    tensors = [
        torch.zeros(2, 3),
        torch.zeros(3, 2),
        torch.zeros(2, 3, dtype=torch.float64),
        torch.zeros(0, 3),
        torch.zeros(2, 3).fill_(1e-30),
    ]
    digests = [Memo.digest(tensor) for tensor in tensors]
    assert len(set(digests)) == len(tensors)
    assert Memo.digest(torch.zeros(3, 2).T) == digests[0]
