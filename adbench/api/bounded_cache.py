"""A cache in memory: values by key, within a limit of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

Value = TypeVar("Value")

LIMIT = 1 << 28
"""Bytes that a cache holds unless its owner says otherwise."""
ENTRY = 500
"""Bytes of an entry beside its value, about."""


class BoundedCache:
    """A cache whose least recently used values go first. Any thread may use it.

    Attributes:
        limit: bytes that it may hold. A value that is larger is not kept; with 0, none is.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit, self._used = limit, 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(self, key: Hashable) -> Any | None:
        """The value of a key; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: object, nbytes: int) -> None:
        """Keep a value of so many bytes, in place of an earlier one."""
        with self._lock:
            self._used -= self._entries.pop(key, (None, 0))[1]
            if nbytes + ENTRY > self.limit:
                return
            self._entries[key] = value, nbytes + ENTRY
            self._used += nbytes + ENTRY
            while self._used > self.limit:
                self._used -= self._entries.popitem(last=False)[1][1]

    def get_or_make(self, key: Hashable, make: Callable[[], Value], size: Callable[[Value], int]) -> Value:
        """The value of a key, made where there is none; two threads that ask at once may both make it."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                known: Value = self._entries[key][0]
                return known
        value = make()
        self.put(key, value, size(value))
        return value

    def clear(self) -> None:
        """Remove all values."""
        with self._lock:
            self._entries.clear()
            self._used = 0
