"""The global generators of torch, NumPy and Python, which anomalib's networks draw from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def drawn_from(generator: torch.Generator, device: str = "cpu") -> Iterator[None]:
    """Seed the global generators inside the block, and leave them as they were.

    anomalib's initial weights, dropout and synthetic defects are drawn from these.

    Args:
        generator: gives the seed.
        device: where networks draw, beside the CPU.
    """
    import numpy as np
    import torch

    seed = int(torch.randint(2**31, (), generator=generator))
    before = np.random.get_state()  # noqa: NPY002 - FrEIA draws from it
    pythons = random.getstate()  # FoundAD draws from it
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002
            random.setstate(pythons)
