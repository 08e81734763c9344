import threading

import pytest

from adbench.engine.features.cache_limit import LEDGER, CacheLimit, forget


@pytest.fixture
def folder(tmp_path):
    """A function from a limit to a bound on a folder of files named by when they came."""

    def make(limit):
        def shrink(target):
            there = sorted(tmp_path.glob("*.file"))
            while there and sum(file.stat().st_size for file in there) > target:
                there.pop(0).unlink()
            return sum(file.stat().st_size for file in there)

        return CacheLimit(tmp_path, limit, shrink)

    return make


def put(bound, name, size):
    with bound.room_for(size) as fits:
        if fits:
            (bound.root / f"{name}.file").write_bytes(bytes(size))
    return fits


def held(bound):
    return sum(file.stat().st_size for file in bound.root.glob("*.file"))


def test_the_oldest_go_when_there_is_no_room(folder):
    bound = folder(100)
    assert all(put(bound, number, 30) for number in range(5))
    assert held(bound) <= 100
    assert (bound.root / "4.file").exists()


def test_what_is_larger_than_the_limit_does_not_come(folder):
    bound = folder(100)
    assert put(bound, 0, 100)
    assert not put(bound, 1, 101)
    assert held(bound) <= 100


def test_two_accounts_of_one_folder_are_one(folder):
    one, other = folder(100), folder(100)
    for number in range(10):
        put(one if number % 2 else other, number, 30)
        assert held(one) <= 100


@pytest.mark.parametrize("text", ["", "many", "999999", "-5"])
def test_a_wrong_account_is_put_right(folder, text):
    bound = folder(100)
    (bound.root / LEDGER).write_text(text)
    for number in range(10):
        put(bound, number, 30)
    assert held(bound) <= 100 + (5 if text == "-5" else 0)
    forget(bound.root)
    put(bound, 99, 30)
    assert held(bound) <= 100


def test_threads_keep_to_the_limit_together(folder):
    def work(who):
        bound = folder(1000)
        for number in range(40):
            put(bound, f"{number:03}-{who}", 90)
            seen.append(held_safely(bound))

    def held_safely(bound):
        with bound._alone():
            return held(bound)

    seen = []
    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= 1000
