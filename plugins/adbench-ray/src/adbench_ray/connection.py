"""The connection to a Ray cluster."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adbench import UsageError

PATIENCE = 15.0
"""Seconds within which a cluster answers."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # as it is now; unset, every start warns that this will change
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what goes wrong is in the endings
}
_LOCAL = {"include_dashboard": False, "object_store_memory": 1 << 28}  # orders and answers are short
_ASK = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected.

    A connection that this process has already is used, and left as it is. Otherwise a cluster is left when all is done;
    one that was started here, for ``"local"``, ends then.

    Raises:
        UsageError: nothing answers there.
    """
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    if address != "local":
        _ask(address)
    start = _LOCAL if address == "local" else {}
    try:
        with _silenced():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **start)
        yield ray
    finally:
        with _silenced():
            ray.shutdown()


def _ray() -> Any:
    """The module `ray`, imported after its environment is set: Ray reads it at import."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with _silenced():
        import ray
    return ray


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence warnings and restore Python's random generator, from which Ray draws."""
    drawn = random.getstate()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(drawn)


def _ask(address: str) -> None:
    """Try the connection in another process first: without an answer, Ray waits for minutes, then ends its process."""
    if address != "auto":
        _try_connection(address)
    try:
        tried = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _ASK, address],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unanswered(address, f"nothing answered within {PATIENCE:g} seconds") from None
    if tried.returncode:
        raise _unanswered(address, (tried.stderr.strip().splitlines() or ["no answer"])[-1])


def _try_connection(address: str) -> None:
    """Check at once that something listens at the address."""
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE / 3).close()
    except (OSError, OverflowError) as error:
        raise _unanswered(address, str(error)) from None


def _unanswered(address: str, why: str) -> UsageError:
    return UsageError(
        f"executor 'ray' found no Ray cluster at address {address!r} ({why}); "
        "start one with `ray start --head`, or use address=local"
    )
