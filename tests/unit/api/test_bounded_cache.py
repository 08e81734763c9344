import threading

import pytest

from adbench.api.bounded_cache import ENTRY, BoundedCache


class Reads:
    """A reader that counts its calls; each value has 1000 bytes."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return [self.count]

    @staticmethod
    def size(_):
        return 1000 - ENTRY


def asked(cache, read, keys):
    return [cache.get_or_make(key, read, read.size) for key in keys]


def test_a_value_is_made_once():
    assert asked(BoundedCache(), Reads(), "aba") == [[1], [2], [1]]


def test_none_is_a_value_too():
    cache, read = BoundedCache(), Reads()
    assert cache.get_or_make("a", lambda: None, lambda _: 0) is None
    assert cache.get_or_make("a", read, read.size) is None
    assert read.count == 0
    assert "a" in cache
    assert "b" not in cache


def test_the_least_recently_used_goes_first():
    assert asked(BoundedCache(limit=2000), Reads(), "abacab") == [[1], [2], [1], [3], [1], [4]]


@pytest.mark.parametrize("limit", [0, 999])
def test_a_value_that_is_too_large_is_given_and_not_kept(limit):
    assert asked(BoundedCache(limit), Reads(), "aa") == [[1], [2]]


def test_a_value_that_is_too_large_leaves_the_others():
    cache = BoundedCache(2000)
    cache.put("a", "a", 100)
    cache.put("b", "b", 2000)
    assert [cache.get(key) for key in "ab"] == ["a", None]


def test_a_new_value_takes_the_place_and_the_bytes_of_the_old_one():
    cache = BoundedCache(2000)
    for nbytes in (900, 1400, 300):
        cache.put("a", nbytes, nbytes)
    cache.put("b", "b", 700)
    assert [cache.get(key) for key in "ab"] == [300, "b"]


def test_what_is_found_was_used():
    cache = BoundedCache(2000)
    cache.put("a", "a", 400)
    cache.put("b", "b", 400)
    assert cache.get("a") == "a"
    cache.put("c", "c", 400)
    assert [cache.get(key) for key in "abc"] == ["a", None, "c"]


def test_an_empty_cache_has_all_its_room():
    cache = BoundedCache(1000)
    cache.put("a", "a", 400)
    cache.clear()
    assert cache.get("a") is None
    cache.put("b", "b", 500)
    assert cache.get("b") == "b"


def test_threads_keep_it_within_its_limit():
    cache = BoundedCache(20_000)

    def work(first):
        for key in range(first, first + 300):
            cache.get_or_make(key % 97, lambda: bytes(500), len)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache._used == 1000 * sum(key in cache for key in range(97)) <= 20_000
