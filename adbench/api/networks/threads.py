"""The number of threads that torch computes with, for work that is too small to be shared.

Threads of torch wait for one another at the end of each operation, and by spinning. An operation on the patches of one
image takes some ten microseconds: that is soon lost where other programs, or the threads of another runtime, have the
core on which one of the threads would run. Larger pieces of such work are done side by side instead, each of them by
one thread, which sleeps until there is a piece for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

Result = TypeVar("Result")

_usual: ContextVar[int | None] = ContextVar("adbench-usual-threads", default=None)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in the block with one thread; `side_by_side` has as many as were there before."""
    import torch

    before = torch.get_num_threads()
    token = _usual.set(_usual.get() or before)
    try:
        if before > 1:
            torch.set_num_threads(1)
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)
        _usual.reset(token)


def pieces(count: int, most: int) -> list[slice]:
    """Parts of so many items for `side_by_side`: one outside of `one_thread`, since torch shares each work itself.

    Args:
        count: how many items there are.
        most: the number of parts beyond which each is too little for a thread of its own.
    """
    height = -(-count // max(1, min(_usual.get() or 1, most, count)))
    starts = range(0, count, height or 1)
    return [slice(start, start + height if start + height < count else None) for start in starts] or [slice(None)]


def side_by_side(works: Sequence[Callable[[], Result]]) -> list[Result]:
    """The results of some works, in order; the first is done by this thread, the others by threads beside it.

    What a work raises is raised when all of them have ended. Works do not share their own work again.
    """
    beside = (_usual.get() or 1) - 1
    if len(works) < 2 or not beside:
        return [work() for work in works]
    rest = [_pool(beside).submit(work) for work in works[1:]]
    try:
        first = works[0]()
    finally:
        wait(rest)
    return [first, *(one.result() for one in rest)]


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that compute with one thread of torch each; they start when they are needed, and then stay."""
    return ThreadPoolExecutor(workers, "adbench-beside", initializer=_begin)


def _begin() -> None:
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay in the parent
