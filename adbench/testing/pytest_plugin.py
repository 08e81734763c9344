"""What pytest gets from adbench by itself: toy data as a fixture. No torch is imported before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adbench.testing.toy_data import ToyStream


@pytest.fixture
def toy_stream() -> ToyStream:
    """Features of fourteen normal images, four a batch: patches [B, 6, 9, 16], layers, image vectors and pictures."""
    from adbench.testing.toy_data import toys

    return toys().train
