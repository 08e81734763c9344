from __future__ import annotations

import pytest

from adbench.engine.evaluate.lru import LruCache


class Reads:
    """A reader that counts its calls; what it gives has 1500 bytes with what an entry needs."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return [self.count]

    @staticmethod
    def size(_):
        return 1000


def asked(seen, read, keys):
    return [seen.get(key, read, read.size) for key in keys]


def test_what_was_read_is_not_read_again():
    assert asked(LruCache(), Reads(), "aba") == [[1], [2], [1]]


def test_nothing_is_an_answer_too():
    seen, read = LruCache(), Reads()
    assert seen.get("a", lambda: None, lambda _: 0) is None
    assert seen.get("a", read, read.size) is None
    assert read.count == 0


def test_the_least_recently_used_goes_first():
    assert asked(LruCache(limit=3000), Reads(), "abacab") == [[1], [2], [1], [3], [1], [4]]


@pytest.mark.parametrize("limit", [0, 1400])
def test_what_is_too_large_is_given_and_not_kept(limit):
    assert asked(LruCache(limit), Reads(), "aa") == [[1], [2]]
