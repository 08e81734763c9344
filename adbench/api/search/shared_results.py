"""Results that the methods of one run share: computed by the first, found by the others, charged to each.

Searches and selections share their results by themselves, where a run has made that possible. No component sees the
results of others: it gets what it would have computed, bit for bit, and its times are those of computing it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from adbench.api.bounded_cache import BoundedCache

if TYPE_CHECKING:
    from torch import Tensor

Result = TypeVar("Result")


class SharedResults(BoundedCache):
    """Results by what they were computed from.

    Attributes:
        charged: seconds of all work that was found instead of done.
    """

    def __init__(self, limit: int = 0) -> None:
        super().__init__(limit)
        self.charged = 0.0

    def charge(self, seconds: float) -> None:
        """Count work that was found as if it had been done now."""
        self.charged += seconds

    def once(self, key: Hashable, compute: Callable[[], Result], nbytes: Callable[[Result], int]) -> Result:
        """Compute a result; or find it, and charge the seconds that it took."""
        found: tuple[Result, float] | None = self.get(key)
        if found is not None:
            self.charge(found[1])
            return found[0]
        started = time.perf_counter()
        result = compute()
        self.put(key, (result, time.perf_counter() - started), nbytes(result))
        return result

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let searches and selections inside the block share their results here, in this thread."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[SharedResults | None] = ContextVar("adbench-shared-results", default=None)


def shared_results() -> SharedResults | None:
    """The results that this thread may share; None where nothing is shared."""
    found = _current.get()
    return found if found is not None and found.limit else None


def digest_of(tensor: Tensor) -> str:
    """A digest of a tensor's type, shape and content: part of a key, no protection against malice."""
    import xxhash

    content = tensor.detach().cpu().contiguous().numpy()
    return f"{content.dtype} {content.shape} {xxhash.xxh3_128_hexdigest(content.ravel().data)}"
