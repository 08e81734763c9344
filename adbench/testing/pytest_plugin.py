"""The pytest plugin of adbench: toy data and the whole tool, as fixtures.

No torch is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.testing.bench import Bench
    from adbench.testing.held_bytes import HeldBytes
    from adbench.testing.toy_data import PatchStream, ToyStream


@pytest.fixture
def toy_stream() -> ToyStream:
    """Features of fourteen normal images, four a batch: patches [B, 6, 9, 16], layers, image vectors and pictures."""
    from adbench.testing.toy_data import toys

    return toys().train


@pytest.fixture
def patch_stream() -> type[PatchStream]:
    """A stream that a test writes down: ``patch_stream(patches, more)`` has a batch for each tensor [B, H, W, C]."""
    from adbench.testing.toy_data import PatchStream

    return PatchStream


@pytest.fixture
def gaussian_noise() -> Callable[..., Tensor]:
    """``gaussian_noise(2, 3, 4, seed=1)``: independent normal values [2, 3, 4] float32 that the seed alone decides."""
    import torch

    return lambda *shape, seed=0: torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def held() -> type[HeldBytes]:
    """A counter of the bytes of tensors: ``peak`` is the most that its block held at any time."""
    from adbench.testing.held_bytes import HeldBytes

    return HeldBytes


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The whole tool on a tiny dataset: ``bench.run("--scorer", "mine").records``."""
    from adbench.testing.bench import Bench

    folder = tmp_path / "bench"
    folder.mkdir()
    monkeypatch.setenv("ADBENCH_CACHE", str(folder / "cache"))  # nothing is kept in the user's
    return Bench(folder)
