"""The number of threads that torch computes with, for work that is too small to be shared.

Threads of torch wait for one another at the end of each operation, and by spinning. An operation on the patches of one
image takes some ten microseconds: that is soon lost where other programs, or the threads of another runtime, have the
core on which one of the threads would run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_usual: ContextVar[int | None] = ContextVar("adbench-usual-threads", default=None)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in the block with one thread, for all but what asks for `usual_threads`."""
    import torch

    before = torch.get_num_threads()
    token = _usual.set(_usual.get() or before)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _usual.reset(token)


@contextmanager
def usual_threads() -> Iterator[None]:
    """Let torch compute in the block with as many threads as outside of `one_thread`."""
    import torch

    before, usual = torch.get_num_threads(), _usual.get()
    torch.set_num_threads(usual or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
