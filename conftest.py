"""Settings of all tests: profiles of the property-based ones, a cache for each test, and what is not collected."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code: tests assert no times.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
settings.load_profile("full")

ALL_SLOW = re.compile(r"^pytestmark = \[?pytest\.mark\.slow\b", re.MULTILINE)
"""A module that marks all its tests as slow."""


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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a module alone if all its tests are slow and no slow test is wanted: to import it takes time."""
    wanted = config.option.markexpr.split(" and ")
    if "not slow" not in wanted or " or " in config.option.markexpr or not collection_path.match("test_*.py"):
        return None
    return bool(ALL_SLOW.search(collection_path.read_text(encoding="utf-8"))) or None


def pytest_collection_finish() -> None:
    """Keep garbage collections quick: what collecting the tests has made stays, and none need walk it again."""
    gc.collect()
    gc.freeze()
