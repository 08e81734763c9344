"""A count of the bytes that tensors take."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HeldBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base class has no types
    """Counts the bytes of all tensors that operations inside the block have made and that still exist.

    Attributes:
        now: bytes at this moment.
        peak: the most at any time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.peak = 0, 0
        self._tensors: Counter[tuple[int, int]] = Counter()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                memory = tensor.untyped_storage()
                self._count((memory.data_ptr(), memory.nbytes()), 1)
                weakref.finalize(tensor, self._count, (memory.data_ptr(), memory.nbytes()), -1)
        return made

    def _count(self, memory: tuple[int, int], change: int) -> None:
        """Several tensors may be views of the same memory, which counts once."""
        before = self._tensors[memory]
        self._tensors[memory] += change
        self.now += memory[1] * ((self._tensors[memory] > 0) - (before > 0))
        self.peak = max(self.peak, self.now)
