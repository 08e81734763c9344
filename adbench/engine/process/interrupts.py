"""Tells a user who stops a run from a component that raises what a user's stop raises, or signals its own process."""

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
"""At so many signals the process ends as the system ends one: something swallowed those before."""

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
class _Heard:
    """What has come so far. `sent`: signals that this process is sending to itself."""

    sent: set[int] = field(default_factory=set)
    stops: list[int] = field(default_factory=list)


_heard = _Heard()


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise `Stopped` inside the block, so that all of them clean up alike.

    Signals that are ignored (`nohup`) or that somebody else listens to stay as they are, and so does a thread that is
    not the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _listen_to_kill()
    plain = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in _NUMBERS if signal.getsignal(number) in plain}
    for number in before:
        signal.signal(number, _hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _heard.stops.clear()


def is_stop(error: BaseException) -> bool:
    """Whether an error is the user's wish to stop, or came about by it.

    A KeyboardInterrupt is a component's own where a real one would have been a `Stopped`.
    """
    if isinstance(error, Stopped) or _heard.stops:
        return True
    listening = signal.getsignal(signal.SIGINT) not in (_hear, signal.SIG_IGN)
    return isinstance(error, KeyboardInterrupt) and listening and threading.current_thread() is threading.main_thread()


def go_on() -> None:
    """Raise `Stopped` if the user wished to stop, and a component swallowed it."""
    if _heard.stops:
        raise Stopped(_heard.stops[-1])


def _hear(number: int, _frame: FrameType | None) -> None:
    if number in _heard.sent:
        _heard.sent.discard(number)
        raise SelfSignalled(f"the process sent itself {signal.Signals(number).name}")
    _heard.stops.append(number)
    if len(_heard.stops) >= PATIENCE:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    raise Stopped(number)


@lru_cache(maxsize=1)
def _listen_to_kill() -> None:
    """Have Python tell whenever it sends a signal. Such a hook stays for as long as the process."""
    sys.addaudithook(_note_own)


def _note_own(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.kill" and arguments[0] in (os.getpid(), 0) and arguments[1] in _NUMBERS:
        _heard.sent.add(int(arguments[1]))
