"""Every test here runs on the CPU, which shows that the test itself works, and on a GPU where there is one.

On a GPU alone: ``pytest -m gpu``. The reference is always the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from adbench.api.coresets import arithmetic
from adbench.api.search import exact as search


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Torch's name of the device under test."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    return request.param


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Convolutions in float32. Torch lets a GPU round their factors to 10 bits, which would hide what is wrong."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def ways_of_a_gpu(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU goes the ways of a GPU: searches in half precision, k-center without sorting out."""
    if device == "cpu":
        monkeypatch.setattr(search, "halves_are_faster", lambda vectors: len(vectors) > 0)
        monkeypatch.setattr(arithmetic, "on_cpu", lambda _: False)
