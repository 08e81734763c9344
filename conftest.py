"""Profiles of the property-based tests, ``quick`` for each commit; and a cache of its own for each test.

What collecting the tests has made lives as long as the process, so no garbage collection need walk it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: tests assert no times.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
settings.load_profile("full")


@pytest.fixture(scope="session")
def cache_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders that do not exist yet; `tmp_path` would make a folder for each test, and most keep nothing."""
    root = tmp_path_factory.mktemp("caches")
    return (root / str(number) for number in count())


@pytest.fixture(autouse=True)
def cache(cache_names: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own: nothing is kept in the user's."""
    folder = next(cache_names)
    monkeypatch.setenv("ADBENCH_CACHE", str(folder))
    return folder


def pytest_collection_finish() -> None:
    """Spare the garbage collector a million objects: libraries collect in the middle of a test, and so does Python."""
    gc.collect()
    gc.freeze()
