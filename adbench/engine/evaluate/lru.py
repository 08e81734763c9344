"""What was read of the test images before: the units of a grid are judged on the same ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

Value = TypeVar("Value")

SEEN_LIMIT = 1 << 28
"""Bytes that are kept: masks and thumbnails of several categories of MVTec AD at its original resolution."""
_ENTRY = 500
"""Bytes of an entry beside its arrays, about."""


class LruCache:
    """Values by any key; the least recently used go first. Data that changes meanwhile is not looked at again.

    Args:
        limit: bytes that may be kept.
    """

    def __init__(self, limit: int = SEEN_LIMIT) -> None:
        self._limit, self._used = limit, 0
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, read: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """What is kept under a key, or what `read` gives, of so many bytes. Any thread may ask."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                known: Value = self._held[key][0]
                return known
        value = read()
        weight = size(value) + _ENTRY
        with self._lock:
            if key not in self._held:  # no other thread was quicker
                self._held[key] = value, weight
                self._used += weight
            while self._used > self._limit:
                self._used -= self._held.popitem(last=False)[1][1]
        return value
