"""Work that threads do ahead of time, or behind, with its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from adbench.api.networks.threads import one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int) -> Iterator[Result]:
    """Results in order, computed by threads at most `ahead` items early; the first one by the caller."""
    # What readers import must be there before they start: two threads that import the same package at once can wait for
    # each other for ever, or find half of it (https://github.com/python/cpython/issues/83065, until Python 3.12)
    rest = iter(items)
    for item in islice(rest, 1):
        with one_thread():
            first = work(item)
        yield first
    # One thread of arithmetic for each reader: torch would start as many as there are cores in each of them, and they
    # would wait for one another and for the backbone (measured: a fifth of the time an image on two cores). A thread
    # that has not asked for its number yet takes the last one set, so this one asks first.
    torch.get_num_threads()
    with ThreadPoolExecutor(workers, "adbench-read", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in rest:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def done_behind(works: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Results of works in order; another thread does each, with one thread of torch, while the caller finds the next.

    Args:
        works: what takes time to find, and then time to do. Only one is done at a time. An error in finding one comes
            behind the results of those before it.
    """
    rest = iter(works)
    failure: Exception | None = None
    threads, waiting = torch.get_num_threads(), deque[Future[Result]]()
    with ThreadPoolExecutor(1, "adbench-behind", initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        while True:
            try:
                work = next(rest, None)
            except Exception as error:  # noqa: BLE001 - raised below
                failure = error
                break
            if work is None:
                break
            waiting.append(pool.submit(_alone, work))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)
    if failure is not None:
        raise failure


def _alone(work: Callable[[], Result]) -> Result:
    with one_thread():
        return work()
