"""What methods of a grid have in common: computed for the first of them, recalled for the others, charged to each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

Result = TypeVar("Result")


@dataclass
class Memo:
    """Results by what they were computed from, the least recently used leaving first.

    A recalled result must be the one that computing it anew would give, bit for bit, so that a method's record does not
    depend on its neighbours; and whoever recalls it is charged the seconds that it took, so that its times do not
    either.

    Attributes:
        budget: bytes that the results may take; with 0, for a method on its own, nothing is remembered.
        charged: seconds of recalled work so far.
    """

    budget: int = 0
    charged: float = 0.0
    _kept: OrderedDict[Hashable, tuple[Any, int]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def charge(self, seconds: float) -> None:
        """Count recalled work as if it had been done now."""
        self.charged += seconds

    def find(self, key: Hashable) -> Any | None:
        """What was kept under a key; whoever uses it charges for it."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, result: object, nbytes: int) -> None:
        """Remember a result of so many bytes in place of an earlier one, if the budget allows."""
        _, before = self._kept.pop(key, (None, 0))
        self._bytes -= before
        if nbytes > self.budget:
            return
        self._kept[key] = result, nbytes
        self._bytes += nbytes
        while self._bytes > self.budget:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed

    def forget(self) -> None:
        """Let go of all results, and remember none from now on."""
        self.budget = self._bytes = 0
        self._kept.clear()

    def once(self, key: Hashable, compute: Callable[[], Result], nbytes: Callable[[Result], int]) -> Result:
        """Compute a result, or recall it and charge for it."""
        found = self.find(key)
        if found is not None:
            known: tuple[Result, float] = found
            self.charge(known[1])
            return known[0]
        started = time.perf_counter()
        result = compute()
        self.keep(key, (result, time.perf_counter() - started), nbytes(result))
        return result

    @staticmethod
    def digest(tensor: Tensor) -> str:
        """What tells tensors apart by type, shape and content: part of a key, no seal against malice."""
        import xxhash

        content = tensor.detach().cpu().contiguous().numpy()
        return f"{content.dtype} {content.shape} {xxhash.xxh3_128_hexdigest(content.ravel().data)}"
