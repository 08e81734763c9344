"""Tells a user's stop from an error or a signal of a component, which may look the same."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any

PATIENCE = 3
"""At this number of signals the process ends as without a handler, since something swallowed the earlier ones."""

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """The user stops the run.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class SelfSignalled(RuntimeError):
    """The process sent this signal to itself: some component did."""


@dataclass
class _Signals:
    """The signals so far; `sent` are those that this process is sending to itself."""

    sent: set[int] = field(default_factory=set)
    stops: list[int] = field(default_factory=list)


_signals = _Signals()


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise `Stopped` inside the block, so that all of them clean up alike.

    Signals that are ignored (`nohup`) or have another handler stay as they are, and so does a thread that is
    not the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch_own_signals()
    plain = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in _NUMBERS if signal.getsignal(number) in plain}
    for number in before:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _signals.stops.clear()


def is_stop(error: BaseException) -> bool:
    """Whether an error is the user's stop, or follows from it.

    A KeyboardInterrupt is a component's own where a real one would have been a `Stopped`.
    """
    if isinstance(error, Stopped) or _signals.stops:
        return True
    listening = signal.getsignal(signal.SIGINT) not in (_handle, signal.SIG_IGN)
    return isinstance(error, KeyboardInterrupt) and listening and threading.current_thread() is threading.main_thread()


def raise_if_stopped() -> None:
    """Raise `Stopped` if the user stopped the run, and a component swallowed that error."""
    if _signals.stops:
        raise Stopped(_signals.stops[-1])


def _handle(number: int, _frame: FrameType | None) -> None:
    if number in _signals.sent:
        _signals.sent.discard(number)
        raise SelfSignalled(f"the process sent itself {signal.Signals(number).name}")
    _signals.stops.append(number)
    if len(_signals.stops) >= PATIENCE:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    raise Stopped(number)


@lru_cache(maxsize=1)
def _watch_own_signals() -> None:
    """Record each signal that Python sends. Such an audit hook cannot be removed."""
    sys.addaudithook(_record_own_signal)


def _record_own_signal(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.kill" and arguments[0] in (os.getpid(), 0) and arguments[1] in _NUMBERS:
        _signals.sent.add(int(arguments[1]))
