"""A count of the bytes that tensors take."""

from __future__ import annotations

import weakref
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Held(TorchDispatchMode):
    """Counts the bytes of all tensors that operations have made and that are still there.

    Attributes:
        peak: the most at any time.
    """

    def __init__(self):
        super().__init__()
        self.views, self.now, self.peak = Counter(), 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.count((storage.data_ptr(), storage.nbytes()), 1)
                weakref.finalize(tensor, self.count, (storage.data_ptr(), storage.nbytes()), -1)
        return made

    def count(self, storage, change):
        before = self.views[storage]
        self.views[storage] += change
        self.now += storage[1] * ((self.views[storage] > 0) - (before > 0))
        self.peak = max(self.peak, self.now)


@pytest.fixture
def held():
    return Held
