"""What a process has only one of, put back after each unit: a component that changes it costs its own unit alone."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

PutBack = Callable[[], object]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Working folder, environment, streams, random numbers, torch's modes and so on end up as they were before."""
    put_back: list[PutBack] = []
    for taken in _TAKERS:
        with suppress(Exception):  # such as a working folder that is gone, or a stream that is closed, from the start
            put_back.append(taken())
    try:
        yield
    finally:
        for put in put_back:
            with suppress(Exception):
                put()


def _of_working_folder() -> PutBack:
    folder = os.getcwd()  # noqa: PTH109
    return lambda: os.chdir(folder)


def _of_umask() -> PutBack:
    mask = os.umask(0o077)
    os.umask(mask)
    return lambda: os.umask(mask)


def _of_environment() -> PutBack:
    before = dict(os.environ)

    def put() -> None:
        if dict(os.environ) != before:
            os.environ.clear()
            os.environ.update(before)

    return put


def _of_streams() -> PutBack:
    before = sys.stdin, sys.stdout, sys.stderr

    def put() -> None:
        sys.stdin, sys.stdout, sys.stderr = before

    return put


def _of_descriptors() -> PutBack:
    """Standard input, output and error, which a component may close or lead elsewhere."""
    spare = [os.dup(number) for number in range(3)]

    def put() -> None:
        for number, copy in enumerate(spare):
            with suppress(OSError):
                if not _open(number) or not os.path.sameopenfile(number, copy):
                    os.dup2(copy, number)
                os.close(copy)

    return put


def _open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _of_random_numbers() -> PutBack:
    python, numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002

    def put() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(of_torch)

    return put


def _of_torch() -> PutBack:
    before = [(read(), read, write) for read, write in _MODES]

    def put() -> None:
        for value, read, write in before:
            if read() != value:
                write(value)

    return put


_MODES: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, torch.set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
)
"""How torch computes. What has not changed is not set again, which may import half of torch."""


def _of_interpreter() -> PutBack:
    depth, collects, errors, filters = sys.getrecursionlimit(), gc.isenabled(), np.geterr(), list(warnings.filters)

    def put() -> None:
        sys.setrecursionlimit(depth)
        (gc.enable if collects else gc.disable)()
        np.seterr(**errors)
        if list(warnings.filters) != filters:
            _filter(filters)

    return put


def _filter(filters: list[Any]) -> None:
    """Put the filters of warnings in place, in a way that Python notices."""
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def _of_signals() -> PutBack:
    """Who listens to signals, which only the main thread may say, and which of them are held back."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    numbers = [number for number in signal.valid_signals() if signal.getsignal(number) is not None]
    before = {number: signal.getsignal(number) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if hasattr(signal, "pthread_sigmask") else None

    def put() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return put


_TAKERS: tuple[Callable[[], PutBack], ...] = (
    _of_working_folder,
    _of_umask,
    _of_environment,
    _of_streams,
    _of_descriptors,
    _of_random_numbers,
    _of_torch,
    _of_interpreter,
    _of_signals,
)
