"""Comparisons with anomalib, run by ``make peers`` in an environment of their own."""

import pytest


@pytest.fixture(scope="session", autouse=True)  # before any fixture of a module
def _anomalib_is_there():
    pytest.importorskip("anomalib", reason="anomalib is not installed; `make peers` installs it and runs these tests")
