"""What pytest gets from adbench by itself: toy data and the whole tool, as fixtures.

No torch is imported before a test asks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from adbench.testing.bench import Bench
    from adbench.testing.toy_data import ToyStream


@pytest.fixture
def toy_stream() -> ToyStream:
    """Features of fourteen normal images, four a batch: patches [B, 6, 9, 16], layers, image vectors and pictures."""
    from adbench.testing.toy_data import toys

    return toys().train


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The whole tool on a tiny dataset: ``bench.run("--scorer", "mine").records``."""
    from adbench.testing.bench import Bench

    folder = tmp_path / "bench"
    folder.mkdir()
    monkeypatch.setenv("ADBENCH_CACHE", str(folder / "cache"))  # nothing is kept in the user's
    return Bench(folder)
